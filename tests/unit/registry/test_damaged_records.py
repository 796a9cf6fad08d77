"""Records that are damaged on the disk: a start names the one, and no invocation finds it."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, new, run
from tests.unit.registry.test_code_signing import layer, made

from samovar.errors import EngineError
from samovar.model.event import EventInvokeConfig
from samovar.model.policy import Statement
from samovar.registry.recursion import RecursiveLoop
from samovar.registry.runtime_management import RuntimeManagement, UpdateRuntimeOn

ARN = PREFIX + "f"
LAYER = "arn:aws:lambda:us-east-1:000000000000:layer:l"


def _config(**damaged: object) -> str:
    return json.dumps(EventInvokeConfig(1, 60, "arn", "arn", 1.0).document() | damaged)


DAMAGED = {
    "function": ["{", "{}", "[]", "null", '{"document":1}'],
    "version": ["{", "{}", "[]", "null", '{"document":1}'],
    "alias": [
        *("{", "{}", "[]", "null", '{"document":1}'),
        '{"document":1,"name":"a","function_version":"7","description":"","additional":null}',
        '{"document":1,"name":"a","function_version":"1","description":"","additional":["7",1]}',
        '{"document":1,"name":"a","function_version":"1","description":"","additional":"x"}',
        '{"document":1,"name":"b","function_version":"1","description":"","additional":null}',
    ],
    "tags": ["{", "1", '["abc"]'],
    "policy": ["{", "{}", "[]", "1", '{"Statement":[{}]}', '{"Statement":[1]}'],
    "recursion": ["{", "{}", '"Maybe"', "null"],
    "runtime-management": ["{", "{}", "[]", "null", '{"update_on":"Never","version_arn":null}'],
    "concurrency": ["{", "{}", "null", "-1", '"5"', "1.5"],
    "provisioned-concurrency": [
        *("{", "{}", "null", "5"),
        '{"requested":0,"last_modified":1.0}',
        '{"requested":"5","last_modified":1.0}',
        '{"requested":5}',
    ],
    "event-invoke-config": [
        *("{", "{}", "[]", "null", '{"max_retry_attempts":1}'),
        *(_config(max_retry_attempts=value) for value in (3, -1, "1")),
        *(_config(max_event_age=value) for value in (59, 21601)),
        *(_config(on_success=5), _config(on_failure=["arn"]), _config(last_modified=None)),
    ],
    "code-signing": ["{", "{}", "[]", "null", '"arn:gone"'],
    "code-signing-config": ["{", "{}", "[]", "null"],
    "layer": ["{", "{}", "[]", '{"document":1,"last":"x"}'],
    "layer-version": ["{", "{}", "[]", '{"document":1,"version":{}}'],
    "layer-policy": ["{", "{}", '{"document":1,"policy":{}}', '{"document":1,"policy":[]}'],
}


async def everything(home: House) -> None:
    config = await made(home)
    arn = await layer(home, "l")
    statement = Statement("s", "*", "lambda:GetLayerVersion", arn, {})
    await home.registry.layers.add_permission("l", 1, statement)
    await home.registry.create(
        replace(new(tags={"a": "b"}), code_signing_config=config, layers=[arn])
    )
    await home.registry.wait_settled("f")
    await home.published()
    await home.registry.aliases.create("f", "a", "1")
    await home.registry.permissions.add("f", None, replace(statement, resource=ARN))
    await home.registry.recursion.put("f", RecursiveLoop.ALLOW)
    await home.registry.concurrency.put("f", None, 5)
    await home.registry.provisioned.put("f", "a", 5)
    await home.registry.event_invoke.put("f", "a", EventInvokeConfig(1, 60))
    on_update = RuntimeManagement(UpdateRuntimeOn.FUNCTION_UPDATE)
    await home.registry.runtime_management.put("f", None, on_update)


async def nothing(home: House) -> None:
    pass


def test_a_damaged_record_is_named_at_start(tmp_path: Path) -> None:
    run(tmp_path, everything)
    with closing(sqlite3.connect(tmp_path / "samovar.db", isolation_level=None)) as database:
        records = database.execute("SELECT kind, key, document FROM records").fetchall()
        assert {kind for kind, _, _ in records} == set(DAMAGED)
        for kind, key, document in records:
            for damaged in DAMAGED[kind]:
                change = "UPDATE records SET document = ? WHERE kind = ? AND key = ?"
                database.execute(change, (damaged, kind, key))
                with pytest.raises(EngineError) as caught:
                    run(tmp_path, nothing)
                assert key in caught.value.message, f"{kind}: {damaged}"
                database.execute(change, (document, kind, key))
    run(tmp_path, nothing)


def test_a_layer_version_that_has_lost_its_layer(tmp_path: Path) -> None:
    run(tmp_path, everything)
    with closing(sqlite3.connect(tmp_path / "samovar.db", isolation_level=None)) as database:
        database.execute("DELETE FROM records WHERE kind = 'layer'")
    with pytest.raises(EngineError, match=f"{LAYER}:1 is stored without its layer"):
        run(tmp_path, nothing)


def test_a_record_under_another_key(tmp_path: Path) -> None:
    run(tmp_path, everything)
    for kind, key in (
        ("layer-version", LAYER + ":2"),
        ("function", ARN + "g"),
        ("version", ARN + ":2"),
        ("alias", ARN + ":b"),
    ):
        with closing(sqlite3.connect(tmp_path / "samovar.db", isolation_level=None)) as database:
            columns = "revision, document, node, owner_kind, owner_key"
            database.execute(
                f"INSERT INTO records SELECT kind, ?, {columns} FROM records WHERE kind = ?",
                (key, kind),
            )
            with pytest.raises(EngineError, match=f"{key} is damaged"):
                run(tmp_path, nothing)
            database.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))


def test_functions_that_were_stored_before_there_were_dead_letter_queues(tmp_path: Path) -> None:
    async def of_today(home: House) -> None:
        await home.active()
        await home.published()

    async def loaded(home: House) -> None:
        for version in (None, "1"):
            assert home.registry.get("f", version).configuration.dead_letter == ""

    run(tmp_path, of_today)
    with closing(sqlite3.connect(tmp_path / "samovar.db", isolation_level=None)) as database:
        older = "UPDATE records SET document = json_remove(document, ?) WHERE kind IN (?, ?)"
        database.execute(older, ("$.configuration.dead_letter", "function", "version"))
        (left,) = database.execute(
            "SELECT count(*) FROM records WHERE document LIKE '%dead_letter%'"
        ).fetchone()
        assert left == 0
    run(tmp_path, loaded)
