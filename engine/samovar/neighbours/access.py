"""How neighbours are reached, whatever client does it: where, with whose keys, by what proxy."""

from __future__ import annotations

from typing import Any

from samovar.settings import Settings, is_loopback

# Emulators take any signature, but some none at all.
ANYBODY = {"aws_access_key_id": "samovar", "aws_secret_access_key": "samovar"}
CONNECT_TIMEOUT = 5.0  # seconds; a neighbour is near


def options(settings: Settings, service: str, given: dict[str, Any]) -> dict[str, Any]:
    """What a botocore Config for `service` is made of; `given` wins."""
    found: dict[str, Any] = {"connect_timeout": CONNECT_TIMEOUT, **given}
    if is_loopback(settings.endpoint(service)):  # where no proxy could reach it
        found["proxies"] = {}
    return found


def without_metadata(chain: Any) -> Any:
    """A botocore session that asks no cloud's metadata server, which costs seconds where there is
    none: what it would say is not meant for a neighbour on this machine."""
    chain.get_component("credential_provider").remove("iam-role")
    return chain
