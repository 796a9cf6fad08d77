"""boto3 clients for what stands beside the engine: S3, CloudWatch Logs and others."""

from __future__ import annotations

from typing import Any

from samovar.settings import Settings, is_loopback

_ANYBODY = {"aws_access_key_id": "samovar", "aws_secret_access_key": "samovar"}
_CONNECT_TIMEOUT = 5.0  # seconds; a neighbour is near


def neighbour_client(service: str, settings: Settings, **options: Any) -> Any:
    """A client for `service` at `settings.aws_endpoint`; `options` are botocore's Config's.

    Takes 150 ms and 15 MB where boto3 is not loaded yet: call it in a thread, when it is needed.
    """
    from boto3.session import Session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    chain = get_session()
    near = is_loopback(settings.aws_endpoint)
    if near:  # what a cloud's metadata server would say is not meant for it, and costs seconds
        chain.get_component("credential_provider").remove("iam-role")
    session = Session(botocore_session=chain, region_name=settings.region)
    config = Config(**{"connect_timeout": _CONNECT_TIMEOUT, **options})
    if near:  # where no proxy could reach it
        config = config.merge(Config(proxies={}))
    # Emulators take any signature, but some none at all.
    anybody = {} if session.get_credentials() else _ANYBODY
    return session.client(service, endpoint_url=settings.aws_endpoint, config=config, **anybody)
