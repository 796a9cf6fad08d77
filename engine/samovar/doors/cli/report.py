"""The start-up lines and the walls, from what the engine reports of itself."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from samovar.settings import Network, Settings


class InterpreterLike(Protocol):
    """An interpreter that serves a runtime, as far as it is shown."""

    @property
    def runtime(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def executable(self) -> str: ...


class Report(Protocol):
    """What the command line shows of an engine; `EngineReport` is one.

    `walls_missing` gives a reason for each wall that this host refuses.
    """

    @property
    def interpreters(self) -> Iterable[InterpreterLike]: ...
    @property
    def walls_held(self) -> Iterable[str]: ...
    @property
    def walls_missing(self) -> Mapping[str, str]: ...


def own_version() -> str:
    """Samovar's version, also where it runs from a checkout that nobody installed."""
    try:
        return version("samovar")
    except PackageNotFoundError:
        return "(not installed)"


def start_text(settings: Settings, endpoint: str, report: Report) -> str:
    """What `samovar start` says once it listens; the endpoint is the last word of line one."""
    found = ", ".join(f"{item.runtime} ({item.version})" for item in report.interpreters)
    lines = [
        f"Samovar {own_version()} listens on {endpoint}",
        f"  region        {settings.region}, account {settings.account_id}",
        f"  requests      {_who_is_served(settings)}",
        f"  data          {settings.data_dir}",
        f"  interpreters  {found or 'none: no function can run; see samovar doctor'}",
        f"  walls         {', '.join(report.walls_held) or 'none'}",
        f"  network       {_network(settings)}",
    ]
    neighbours = _neighbours(settings)
    if neighbours:
        lines.append(f"  neighbours    {neighbours}")
    if settings.hot_reload_roots:
        lines.append(f"  hot reload    within {', '.join(map(str, settings.hot_reload_roots))}")
    lines += [f"  missing wall  {wall}: {why}" for wall, why in report.walls_missing.items()]
    return "\n".join(lines)


def start_line_json(settings: Settings, endpoint: str, report: Report) -> str:
    """The same as one line of JSON, for whoever started the engine on a port of its own choice."""
    document = {
        "endpoint": endpoint,
        "pid": os.getpid(),
        "version": own_version(),
        "region": settings.region,
        "account_id": settings.account_id,
        "signed": settings.credentials_file is not None,
        "data_dir": str(settings.data_dir),
        "interpreters": {item.runtime: item.version for item in report.interpreters},
        "neighbours": _neighbours(settings),
        "walls_held": list(report.walls_held),
        "walls_missing": dict(report.walls_missing),
        "network": settings.network,
        "offline_functions": list(settings.offline_functions),
    }
    return json.dumps(document)


def _network(settings: Settings) -> str:
    """What functions reach."""
    if settings.network is Network.NONE:
        return "none: each context has a loopback device of its own"
    some = ", ".join(settings.offline_functions)
    return f"the host's{f'; none for {some}' if some else ''}"


def _neighbours(settings: Settings) -> str:
    """Where what becomes of events is sent, and with whose rights; empty where nowhere."""
    places = [settings.aws_endpoint] if settings.aws_endpoint else []
    places += [f"{service} {url}" for service, url in settings.endpoints.items()]
    if not places:
        return ""
    whose = "execution roles" if "sts" in settings.endpoints else "the engine (no sts is given)"
    return f"{', '.join(places)}; with the rights of {whose}"


def _who_is_served(settings: Settings) -> str:
    if settings.credentials_file is not None:
        return f"signed with a key of {settings.credentials_file}"
    return "of anybody who reaches it: they are not authenticated"
