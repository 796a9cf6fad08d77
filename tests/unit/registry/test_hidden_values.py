"""Environments are secrets: what holds one does not show it when it is printed or logged."""

from __future__ import annotations

from typing import Any, cast

import pytest

from samovar.context.launcher import Placement
from samovar.doors.cli.deploy.plan import Plan, Wishes
from samovar.doors.http.operations.table import Call
from samovar.logs.stream import LogStream
from samovar.model.function import CodePackage, Configuration, FunctionVersion
from samovar.registry.changes import NewFunction
from samovar.registry.records import to_stored
from samovar.registry.sources import ZipBytes
from samovar.registry.transitions import ConfigurationChanges
from samovar.stores.protocols import Put
from samovar_worker.wire import messages

CANARY = "canary-7f3a"
VARIABLES = {"TOKEN": CANARY}
SHOWN = {"Environment": {"Variables": VARIABLES}}
CONFIGURATION = Configuration("app.handler", "python3.12", "arn:r", environment=VARIABLES)
VERSION = FunctionVersion("f", "arn:f", CONFIGURATION, CodePackage("0" * 64, 1), "r", 0.0)
RECORD = to_stored(VERSION, "node")
NOTHING = cast(Any, None)
HOLDERS = [
    CONFIGURATION,
    VERSION,
    RECORD,
    Put(RECORD, None),
    ConfigurationChanges(environment=VARIABLES),
    NewFunction("f", CONFIGURATION, ZipBytes(b"")),
    Placement(VERSION, "/var/task", VARIABLES, (), None, cast(LogStream, NOTHING)),
    Call(NOTHING, {"FunctionName": "f", **SHOWN}, NOTHING, "http://x", "id"),
    Wishes(environment=VARIABLES),
    Plan("f", create=SHOWN),
    Plan("f", configuration=SHOWN),
    messages.Init("app.handler", "/var/task", VARIABLES, (), 512, None, False, None, False, False),
    messages.Restore(VARIABLES, None, False),
]


@pytest.mark.parametrize("holder", HOLDERS, ids=lambda holder: type(holder).__name__)
def test_what_holds_an_environment_does_not_show_it(holder: object) -> None:
    assert CANARY not in repr(holder)
    assert CANARY not in str(holder)
    assert CANARY not in f"{[holder]}"
