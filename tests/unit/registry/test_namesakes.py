"""A function that is deleted while changes of it wait, and one that is made anew in its name."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, PREFIX, House, new, run
from tests.unit.registry.test_code_signing import made
from tests.unit.registry.test_hot_reload import copies, live, until
from tests.unit.registry.zips import make_zip

from samovar.errors import AWS, ClientError
from samovar.model.policy import Statement
from samovar.registry.attached import KINDS
from samovar.registry.functions import ConfigurationChanges, ZipBytes
from samovar.registry.layers import NewLayerVersion
from samovar.registry.recursion import RecursiveLoop
from samovar.registry.runtime_management import RuntimeManagement, UpdateRuntimeOn

ARN = PREFIX + "f"
STATEMENT = Statement("s", "*", "lambda:InvokeFunction", ARN, {})
ON_UPDATE = RuntimeManagement(UpdateRuntimeOn.FUNCTION_UPDATE)
MANUAL = RuntimeManagement(UpdateRuntimeOn.MANUAL, "arn:aws:lambda:us-east-1::runtime:" + "a" * 64)

Change = Callable[[House], Awaitable[object]]
CHANGES: dict[str, Change] = {
    "permission": lambda home: home.registry.permissions.add("f", None, STATEMENT),
    "recursion": lambda home: home.registry.recursion.put("f", RecursiveLoop.ALLOW),
    "runtime": lambda home: home.registry.runtime_management.put("f", None, ON_UPDATE),
    "tag": lambda home: home.registry.tag(ARN, {"a": "b"}),
    "configuration": lambda home: home.registry.update_configuration(
        "f", ConfigurationChanges(timeout=9)
    ),
    "code": lambda home: home.registry.update_code("f", OTHER),
    "delete": lambda home: home.registry.delete("f"),
}


@pytest.mark.parametrize("what", CHANGES)
def test_what_waits_for_a_deletion_finds_nothing(tmp_path: Path, what: str) -> None:
    async def check(home: House) -> None:
        await home.active()
        async with home.registry._underway.lock("f"):
            deleting = asyncio.create_task(home.registry.delete("f"))
            await until(home, lambda: len(waiting(home)) == 1)
            asked = asyncio.create_task(CHANGES[what](home))  # type: ignore[arg-type,var-annotated]
            await until(home, lambda: len(waiting(home)) == 2)
        await deleting
        creating = asyncio.create_task(home.active())
        with pytest.raises(ClientError) as caught:
            await asked
        assert caught.value.error is AWS.RESOURCE_NOT_FOUND
        assert caught.value.message == f"Function not found: {ARN}"
        created = await creating
        assert home.registry.get("f") is created
        assert home.registry.tags_of(ARN) == {}
        assert not [record for record in await home.store.load() if record.kind in KINDS]

    run(tmp_path, check)


QUALIFIED: dict[str, Callable[[House, str], Awaitable[object]]] = {
    "permission": lambda home, of: home.registry.permissions.add("f", of, STATEMENT),
    "no-permission": lambda home, of: home.registry.permissions.remove("f", of, "old"),
    "runtime": lambda home, of: home.registry.runtime_management.put("f", of, MANUAL),
    "provisioned": lambda home, of: home.registry.provisioned.put("f", of, 1),
    "not-provisioned": lambda home, of: home.registry.provisioned.delete("f", of),
}


@pytest.mark.parametrize(
    ("what", "qualifier"),
    # How a runtime is managed belongs to versions only.
    [pair for pair in product(QUALIFIED, ("2", "live")) if pair != ("runtime", "live")],
)
def test_what_waits_for_the_deletion_of_a_qualifier_finds_nothing(
    tmp_path: Path, what: str, qualifier: str
) -> None:
    async def check(home: House) -> None:
        await home.active()
        registry = home.registry
        for number in "12":
            await registry.versions.publish("f", description=number)
            await registry.wait_settled("f", number)
        await registry.aliases.create("f", "live", "1")
        await registry.permissions.add("f", qualifier, replace(STATEMENT, sid="old"))
        async with registry._underway.lock("f"):
            deleting = asyncio.create_task(
                registry.aliases.delete("f", "live")
                if qualifier == "live"
                else registry.versions.delete("f", qualifier)
            )
            await until(home, lambda: len(waiting(home)) == 1)
            asked = asyncio.create_task(QUALIFIED[what](home, qualifier))  # type: ignore[arg-type,var-annotated]
            await until(home, lambda: len(waiting(home)) == 2)
        await deleting
        with pytest.raises(ClientError) as caught:
            await asked
        assert caught.value.error is AWS.RESOURCE_NOT_FOUND
        assert caught.value.message == f"Function not found: {ARN}:{qualifier}"
        assert not [record for record in await home.store.load() if record.kind in KINDS]

    run(tmp_path, check)


def waiting(home: House) -> list[object]:
    return list(home.registry._underway.lock("f")._waiters or ())  # type: ignore[attr-defined]


@pytest.mark.parametrize("what", ["code", "layers"])
def test_what_takes_long_does_not_happen_to_a_namesake(tmp_path: Path, what: str) -> None:
    async def check(home: House) -> None:
        await home.active()
        content = ZipBytes(make_zip({"python/m.py": "x = 1"}))
        version = await home.registry.layers.publish(NewLayerVersion("l", content))
        step = "put" if what == "code" else "unzipped"
        quickly, begun, go_on = getattr(home.code, step), asyncio.Event(), asyncio.Event()

        async def slowly(*args: object) -> object:
            begun.set()
            await go_on.wait()
            return await quickly(*args)

        setattr(home.code, step, slowly)
        layers = ConfigurationChanges(layers=[version.version_arn])
        updating = asyncio.create_task(
            home.registry.update_code("f", OTHER)
            if what == "code"
            else home.registry.update_configuration("f", layers)
        )
        await begun.wait()
        setattr(home.code, step, quickly)
        await home.registry.delete("f")
        created = await home.active()
        go_on.set()
        with pytest.raises(ClientError, match="Function not found"):
            await updating
        assert home.registry.get("f") is created

    run(tmp_path, check)


def nothing_belongs(home: House) -> None:
    with pytest.raises(ClientError, match="does not exist"):
        home.registry.permissions.policy("f", None)
    assert home.registry.recursion.get("f") is RecursiveLoop.TERMINATE
    assert home.registry.runtime_management.get("f", None) == RuntimeManagement()
    assert home.registry.code_signing.of_function("f") is None
    assert home.registry.tags_of("f") == {}


def test_all_that_belonged_to_the_deleted_one_is_gone(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        config = await made(home)
        await home.registry.create(replace(new(tags={"a": "b"}), code_signing_config=config))
        await home.registry.wait_settled("f")
        for change in ("permission", "recursion", "runtime"):
            await CHANGES[change](home)
        await home.registry.delete("f")
        await home.active()
        nothing_belongs(home)
        assert home.registry.code_signing.functions(config, None, None).arns == []
        await home.registry.code_signing.delete(config)

    async def reopened(home: House) -> None:
        nothing_belongs(home)

    run(tmp_path, check)
    run(tmp_path, reopened)


def test_a_deletion_while_its_reload_is_being_written(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("x = 1\n")

    async def check(home: House) -> None:
        await home.active(source=live(code))
        home.store.hold()
        (code / "app.py").write_text("x = 22\n")
        await until(home, home.store.reached.is_set)
        deleting = asyncio.create_task(home.registry.delete("f"))
        await asyncio.sleep(0)
        home.store.let_go()
        await deleting
        with pytest.raises(ClientError, match="Function not found"):
            home.registry.get("f")
        assert await home.store.load() == ()
        assert copies(tmp_path) == []
        created = await home.active(source=live(code))
        tree = await home.registry.ensure_extracted(created)
        assert (tree.path / "app.py").read_text() == "x = 22\n"

    run(tmp_path / "data", check)


def test_a_layer_version_that_goes_while_a_function_takes_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        content = ZipBytes(make_zip({"python/m.py": "x = 1"}))
        version = await home.registry.layers.publish(NewLayerVersion("l", content))
        await home.active()
        home.store.hold()
        taking = asyncio.create_task(
            home.registry.update_configuration(
                "f", ConfigurationChanges(layers=[version.version_arn])
            )
        )
        await home.store.reached.wait()
        going = asyncio.create_task(home.registry.layers.delete("l", 1))
        assert await home.registry.collect() == ()
        home.store.let_go()
        await asyncio.gather(taking, going)
        taken = await home.registry.wait_settled("f")
        assert await home.registry.collect() == ()
        layers = (await home.registry.ensure_extracted(taken)).layers
        assert layers
        assert (layers / "python" / "m.py").is_file()

    run(tmp_path, check)


def test_what_belongs_to_one_is_not_its_namesakes_elsewhere(tmp_path: Path) -> None:
    """Another Region or account on the same data directory."""

    async def first(home: House) -> None:
        config = await made(home)
        await home.registry.create(replace(new(), code_signing_config=config))
        await home.registry.wait_settled("f")
        for change in ("permission", "recursion", "runtime"):
            await CHANGES[change](home)

    async def elsewhere(home: House) -> None:
        await home.active()
        nothing_belongs(home)
        assert home.registry.code_signing.list(None, None).configs == []
        await CHANGES["recursion"](home)
        await home.registry.delete("f")

    async def again(home: House) -> None:
        assert home.registry.permissions.policy("f", None)[0].find("s") == STATEMENT
        assert home.registry.recursion.get("f") is RecursiveLoop.ALLOW
        assert home.registry.runtime_management.get("f", None) == ON_UPDATE
        assert home.registry.code_signing.of_function("f") is not None

    run(tmp_path, first)
    run(tmp_path, elsewhere, region="eu-west-1")
    run(tmp_path, elsewhere, account_id="123456789012")
    run(tmp_path, again)
