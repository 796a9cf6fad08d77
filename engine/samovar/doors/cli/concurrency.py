"""What functions have set aside for them, as `samovar functions` shows it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from samovar.model.function import LATEST, SnapStart
from samovar.model.provisioning import ProvisionedStatus

RESERVED = "ReservedConcurrentExecutions"
PROVISIONED = "ProvisionedConcurrency"
_AT_ONCE = 8


def set_aside(
    client: Any,
    found: Sequence[dict[str, Any]],
    aliases: Mapping[str, Collection[str]],
    *,
    of_versions: bool,
) -> None:
    """Add to each function its configs of provisioned concurrency, as the API gives them; with
    `of_versions` to each version its own, and those of the `aliases` (by ARNs, with a star for a
    share by weight) that stand for it."""

    def ask(name: str) -> list[dict[str, Any]]:
        listed = client.get_paginator("list_provisioned_concurrency_configs")
        try:
            return [
                config
                for page in listed.paginate(FunctionName=name)
                for config in page["ProvisionedConcurrencyConfigs"]
            ]
        except ClientError:  # deleted meanwhile, or an emulator that has no such thing
            return []

    names = list(dict.fromkeys(item["FunctionName"] for item in found))
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        configs = dict(zip(names, threads.map(ask, names), strict=True))
    for item in found:
        own = configs[item["FunctionName"]]
        if of_versions:
            standing = {alias.rstrip("*") for alias in aliases.get(item["FunctionArn"], ())}
            wanted = standing | {item["Version"]}
            own = [config for config in own if _qualifier(config) in wanted]
        item[PROVISIONED] = own


def reserved_text(reserved: int | None) -> str:
    if reserved is None:
        return "-"
    return str(reserved) if reserved else "off"  # to reserve nothing is to switch it off


def provisioned_text(configs: Sequence[Mapping[str, Any]]) -> str:
    """How many are ready of how many there are to be, by qualifier: `live 2/5, 7 1/1`."""
    return ", ".join(_config_text(config) for config in configs) or "-"


def _config_text(config: Mapping[str, Any]) -> str:
    ready = config["AvailableProvisionedConcurrentExecutions"]
    wanted = config["RequestedProvisionedConcurrentExecutions"]
    failed = " failed" if config["Status"] == ProvisionedStatus.FAILED else ""
    return f"{_qualifier(config)} {ready}/{wanted}{failed}"


def _qualifier(config: Mapping[str, Any]) -> str:
    return str(config["FunctionArn"].rpartition(":")[2])


def snap_start_text(item: Mapping[str, Any]) -> str:
    shown = item.get("SnapStart") or {}
    if shown.get("ApplyOn", SnapStart.NONE) == SnapStart.NONE:
        return "-"
    if item["Version"] == LATEST:  # which never starts from a template itself
        return "next version"
    return str(shown["OptimizationStatus"]).lower()
