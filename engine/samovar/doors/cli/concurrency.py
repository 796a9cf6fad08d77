"""What functions have set aside for them, as `samovar functions` shows it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from samovar.doors.cli.configs import Configs, qualifier_of
from samovar.model.function import LATEST, SnapStart
from samovar.model.provisioning import ProvisionedStatus

RESERVED = "ReservedConcurrentExecutions"
PROVISIONED = "ProvisionedConcurrency"


def listed(client: Any, name: str) -> Configs:
    """A function's configs of provisioned concurrency, as the API gives them."""
    pages = client.get_paginator("list_provisioned_concurrency_configs").paginate(FunctionName=name)
    return [config for page in pages for config in page["ProvisionedConcurrencyConfigs"]]


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
    return f"{qualifier_of(config)} {ready}/{wanted}{failed}"


def snap_start_text(item: Mapping[str, Any]) -> str:
    shown = item.get("SnapStart") or {}
    if shown.get("ApplyOn", SnapStart.NONE) == SnapStart.NONE:
        return "-"
    if item["Version"] == LATEST:  # which never starts from a template itself
        return "next version"
    return str(shown["OptimizationStatus"]).lower()
