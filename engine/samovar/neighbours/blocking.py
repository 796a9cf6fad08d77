"""boto3 clients, for threads."""

from __future__ import annotations

from typing import Any

from samovar.neighbours.access import ANYBODY, options, without_metadata
from samovar.settings import Settings, is_loopback


def neighbour_client(service: str, settings: Settings, **given: Any) -> Any:
    """A client for `service` at its endpoint; `given` are options of botocore's Config.

    Takes 150 ms and 15 MB where boto3 is not loaded yet: call it in a thread, when it is needed.
    """
    from boto3.session import Session  # noqa: PLC0415
    from botocore.config import Config  # noqa: PLC0415
    from botocore.session import get_session  # noqa: PLC0415

    endpoint = settings.endpoint(service)
    chain = get_session()
    if is_loopback(endpoint):
        without_metadata(chain)
    session = Session(botocore_session=chain, region_name=settings.region)
    config = Config(**options(settings, service, given))
    anybody = {} if session.get_credentials() else ANYBODY
    return session.client(service, endpoint_url=endpoint, config=config, **anybody)
