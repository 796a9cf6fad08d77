"""Code signing configs between the disk, the memory and the functions that have them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.registry.house import OTHER, PREFIX, House, new, run
from tests.unit.registry.zips import make_zip

from samovar.errors import AWS, ClientError, EngineError
from samovar.metrics.observer import SilentObserver
from samovar.registry.code_signing_configs import KIND, CodeSigningConfig, Untrusted
from samovar.registry.functions import ConfigurationChanges, ZipBytes
from samovar.registry.layers import NewLayerVersion
from samovar.stores.protocols import Record

PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/abcdef0123"


async def made(home: House, untrusted: Untrusted = Untrusted.WARN) -> str:
    config = await home.registry.code_signing.create(CodeSigningConfig("", (PROFILE,), untrusted))
    return config.arn


def test_a_config_and_the_function_that_is_made_with_it_are_there_together(tmp_path: Path) -> None:
    arn = ""

    async def check(home: House) -> None:
        nonlocal arn
        arn = await made(home)
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.create(replace(new(), code_signing_config=arn))
        home.store.let_go()
        assert home.registry.code_signing.functions(arn, None, None).arns == []
        await home.registry.create(replace(new(), code_signing_config=arn))

    async def reopened(home: House) -> None:
        assert home.registry.code_signing.of_function("f") == arn
        assert home.registry.code_signing.functions(arn, None, None).arns == [PREFIX + "f"]

    run(tmp_path, check)
    run(tmp_path, reopened)


def test_no_config_goes_while_a_function_is_being_given_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await made(home)
        await home.active()
        for giving in (
            lambda: home.registry.code_signing.put("f", arn),
            lambda: home.registry.create(replace(new("g"), code_signing_config=arn)),
        ):
            home.store.hold()
            given = asyncio.create_task(giving())  # type: ignore[arg-type,var-annotated]
            await home.store.reached.wait()
            with pytest.raises(ClientError) as caught:
                await home.registry.code_signing.delete(arn)
            assert caught.value.error is AWS.RESOURCE_CONFLICT
            home.store.let_go()
            await given
            await home.registry.code_signing.put("f", None)
        await home.registry.delete("g")
        await home.registry.code_signing.delete(arn)

    run(tmp_path, check)


def test_no_function_is_given_a_config_while_it_goes(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await made(home)
        await home.active()
        home.store.hold()
        going = asyncio.create_task(home.registry.code_signing.delete(arn))
        await home.store.reached.wait()
        for giving in (
            home.registry.code_signing.put("f", arn),
            home.registry.create(replace(new("g"), code_signing_config=arn)),
        ):
            with pytest.raises(ClientError) as caught:
                await giving
            assert caught.value.error is AWS.CODE_SIGNING_CONFIG_NOT_FOUND
        home.store.let_go()
        await going

    run(tmp_path, check)


def test_a_config_that_could_not_be_deleted_is_still_there(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await made(home)
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.code_signing.delete(arn)
        home.store.let_go()
        assert home.registry.code_signing.get(arn).publishers == (PROFILE,)
        await home.registry.code_signing.delete(arn)

    run(tmp_path, check)


def test_what_is_enforced_while_the_code_arrives_counts(tmp_path: Path) -> None:
    """The code is looked at again when it is here: a policy may have come in between."""

    async def check(home: House) -> None:
        arn = await made(home)
        active = await home.active()
        await home.registry.code_signing.put("f", arn)
        kept, arrived, go_on = home.code.put, asyncio.Event(), asyncio.Event()

        async def slowly(*args: object) -> object:
            found = await kept(*args)  # type: ignore[arg-type]
            arrived.set()
            await go_on.wait()
            return found

        home.code.put = slowly  # type: ignore[method-assign,assignment]
        updating = asyncio.create_task(home.registry.update_code("f", OTHER))
        creating = asyncio.create_task(
            home.registry.create(replace(new("g"), code_signing_config=arn))
        )
        await arrived.wait()
        await home.registry.code_signing.update(
            arn, lambda config: replace(config, untrusted=Untrusted.ENFORCE)
        )
        go_on.set()
        for changing in (updating, creating):
            with pytest.raises(ClientError) as caught:
                await changing
            assert caught.value.error is AWS.CODE_VERIFICATION_FAILED
        assert home.registry.get("f") is active

    run(tmp_path, check)


def test_changes_made_at_once_are_all_there(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await made(home)
        signing = home.registry.code_signing
        await asyncio.gather(
            *(
                signing.update(
                    arn, lambda config: replace(config, publishers=(*config.publishers, PROFILE))
                )
                for _ in range(9)
            ),
            *(signing.retag(arn, lambda tags: {**tags, str(len(tags)): ""}) for _ in range(9)),
        )
        config = signing.get(arn)
        assert (len(config.publishers), len(config.tags)) == (10, 9)

    run(tmp_path, check)


def test_a_damaged_record_says_which() -> None:
    with pytest.raises(EngineError, match="csc-x"):
        CodeSigningConfig.of(Record(KIND, "csc-x", "r", "{}", "n"))


@dataclass
class Counting(SilentObserver):
    """Counts packages that are let through without a signature."""

    functions: list[str] = field(default_factory=list)

    def unsigned_deployment(self, function: str) -> None:
        self.functions.append(function)


async def layer(home: House, name: str) -> str:
    content = ZipBytes(make_zip({f"python/{name}.py": "x = 1"}))
    return (await home.registry.layers.publish(NewLayerVersion(name, content))).version_arn


async def enforce(home: House, arn: str, untrusted: Untrusted = Untrusted.ENFORCE) -> None:
    await home.registry.code_signing.update(
        arn, lambda config: replace(config, untrusted=untrusted)
    )


async def refused_by_name(awaitable: Awaitable[object], name: str) -> None:
    with pytest.raises(ClientError) as caught:
        await awaitable
    assert caught.value.error is AWS.CODE_VERIFICATION_FAILED
    assert f"signature for {name}. (" in caught.value.message


def test_layers_are_asked_for_their_signatures_when_they_are_attached(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        counting = Counting()
        home.registry.observe_with(counting)
        arn, one, two = await made(home), await layer(home, "one"), await layer(home, "two")
        await home.registry.create(replace(new(), code_signing_config=arn, layers=[one]))
        await home.registry.wait_settled("f")
        assert counting.functions == ["f"]
        await enforce(home, arn)

        async def update(**changes: Any) -> None:
            await home.registry.update_configuration("f", ConfigurationChanges(**changes))
            await home.registry.wait_settled("f")

        before = home.registry.get("f")
        await refused_by_name(update(layers=[one, two]), two)
        assert home.registry.get("f") is before
        await update(layers=[one], timeout=9)  # nothing new
        await update(layers=[])
        await refused_by_name(update(layers=[one]), one)
        await refused_by_name(
            home.registry.create(replace(new("g"), code_signing_config=arn, layers=[one])), "g"
        )
        assert counting.functions == ["f"]
        await enforce(home, arn, Untrusted.WARN)
        await update(layers=[one, two])
        assert counting.functions == ["f", "f"]
        await update(layers=[two, one])
        await update(timeout=10)
        assert counting.functions == ["f", "f"]

    run(tmp_path, check)


def test_what_is_enforced_while_layers_are_looked_at_counts(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn, one = await made(home), await layer(home, "one")
        active = await home.active()
        await home.registry.code_signing.put("f", arn)
        looked, looking, go_on = home.code.unzipped, asyncio.Event(), asyncio.Event()

        async def slowly(*args: Any) -> int:
            looking.set()
            await go_on.wait()
            return await looked(*args)

        home.code.unzipped = slowly  # type: ignore[method-assign]
        updating = asyncio.create_task(
            home.registry.update_configuration("f", ConfigurationChanges(layers=[one]))
        )
        await looking.wait()
        await enforce(home, arn)
        go_on.set()
        await refused_by_name(updating, one)
        assert home.registry.get("f") is active

    run(tmp_path, check)
