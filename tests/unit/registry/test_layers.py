"""Layers in the registry: numbers, what functions may have, what outlives what."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, House, house, new, refused, run
from tests.unit.registry.zips import entry, handler_zip, link, make_zip, zip_of

from samovar.errors import AWS, ClientError, EngineError
from samovar.model import limits
from samovar.model.function import AttachedLayer
from samovar.registry import packages, rules
from samovar.registry.functions import ConfigurationChanges, NewFunction, ZipBytes
from samovar.registry.layers import Compatible, NewLayerVersion

ARN = "arn:aws:lambda:us-east-1:000000000000:layer:"
ALL = Compatible()


def zipped(text: str) -> ZipBytes:
    return ZipBytes(make_zip({"python/m.py": f"X = {text!r}\n"}))


async def publish(home: House, name: str = "l", text: str = "x", **more: object) -> str:
    new_version = NewLayerVersion(name, zipped(text), **more)  # type: ignore[arg-type]
    return (await home.registry.layers.publish(new_version)).version_arn


def with_layers(*arns: str, name: str = "f") -> NewFunction:
    plain = new(name)
    return NewFunction(name, plain.configuration, plain.source, {}, layers=arns)


def numbers(home: House, name: str = "l", wanted: Compatible = ALL) -> list[int]:
    return [item.version for item in home.registry.layers.versions(name, wanted).versions]


def test_numbers_are_never_given_again(tmp_path: Path) -> None:
    async def first(home: House) -> None:
        assert await publish(home) == ARN + "l:1"
        assert await publish(home, ARN + "l", "y") == ARN + "l:2"
        assert await publish(home, "m") == ARN + "m:1"
        await home.registry.layers.delete("l", 2)
        await home.registry.layers.delete("l", 2)  # and once more
        await home.registry.layers.delete("never", 1)
        assert numbers(home) == [1]
        assert await publish(home) == ARN + "l:3"
        for number in (1, 3):
            await home.registry.layers.delete("l", number)
        assert numbers(home) == []
        assert [item.name for item in home.registry.layers.latest(ALL).versions] == ["m"]

    async def second(home: House) -> None:
        assert numbers(home) == []
        assert numbers(home, "m") == [1]
        assert await publish(home) == ARN + "l:4"

    run(tmp_path, first)
    run(tmp_path, second)


def test_many_at_once_get_a_number_each(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        made = await asyncio.gather(*(publish(home, text=str(n)) for n in range(12)))
        assert sorted(made) == sorted(f"{ARN}l:{n}" for n in range(1, 13))
        assert numbers(home) == list(range(12, 0, -1))

    run(tmp_path, check)


def test_a_write_that_fails_leaves_no_version_and_uses_no_number(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail()
        with pytest.raises(EngineError, match="the disk is full"):
            await publish(home)
        home.store.let_go()
        assert numbers(home) == []
        assert await publish(home) == ARN + "l:1"
        home.store.fail()
        with pytest.raises(EngineError, match="the disk is full"):
            await home.registry.layers.delete("l", 1)
        home.store.let_go()
        assert numbers(home) == [1]

    run(tmp_path, check)


def test_a_caller_that_goes_away_stops_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        publishing = asyncio.create_task(publish(home))
        await home.store.reached.wait()
        publishing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await publishing
        home.store.let_go()
        assert await publish(home) == ARN + "l:2"
        assert numbers(home) == [2, 1]

    run(tmp_path, check)


KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from tests.unit.registry.house import house
from tests.unit.registry.test_layers import ARN, publish, with_layers
from samovar.model.policy import Statement

async def main():
    async with house(Path(sys.argv[1])) as home:
        arn = await publish(home)
        await home.registry.create(with_layers(arn))
        await home.registry.wait_settled("f")
        statement = Statement("s", "*", "lambda:GetLayerVersion", ARN + "l:1", {})
        await home.registry.layers.add_permission("l", 1, statement)
        await publish(home, text="second")
        await home.registry.layers.delete("l", 2)
        home.store.hold()
        asyncio.ensure_future(publish(home, text="third"))
        await home.store.reached.wait()
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def test_what_was_answered_is_there_after_a_kill(tmp_path: Path) -> None:
    roots = [str(Path(__file__).parents[3] / place) for place in ("", "engine", "workers")]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(roots)}
    killed = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path)], env=environment, check=False
    )
    assert killed.returncode == -signal.SIGKILL

    async def check(home: House) -> None:
        assert numbers(home) == [1]
        (statement,) = home.registry.layers.policy_of("l", 1).policy.statements
        assert statement.resource == ARN + "l:1"
        found = home.registry.get("f")
        assert [layer.arn for layer in found.configuration.layers] == [ARN + "l:1"]
        assert (await home.registry.ensure_extracted(found)).layers is not None
        kept = {path.stem for path in (tmp_path / "code" / "zip").iterdir()}
        assert kept == {found.code.sha256, found.configuration.layers[0].sha256}
        assert await publish(home) == ARN + "l:3"

    run(tmp_path, check)


def test_functions_keep_what_is_deleted(tmp_path: Path) -> None:
    async def first(home: House) -> None:
        arns = [await publish(home, name, name) for name in ("one", "two")]
        await home.registry.create(with_layers(*arns))
        active = await home.registry.wait_settled("f")
        layers = active.configuration.layers
        assert [layer.arn for layer in layers] == arns
        for name in ("one", "two"):
            await home.registry.layers.delete(name, 1)
        assert await home.registry.collect() == ()
        merged = (await home.registry.ensure_extracted(active)).layers
        assert merged
        assert (merged / "python" / "m.py").read_text() == "X = 'two'\n"
        await home.registry.update_configuration("f", ConfigurationChanges(timeout=9))
        again = await home.registry.wait_settled("f")
        assert again.configuration.layers == layers
        await refused(
            home.registry.update_configuration("f", ConfigurationChanges(layers=arns)),
            AWS.INVALID_PARAMETER,
            f"Layer version {arns[0]} does not exist.",
        )

    async def second(home: House) -> None:
        found = home.registry.resolve("f")
        assert len(found.configuration.layers) == 2
        merged = (await home.registry.ensure_extracted(found)).layers
        assert merged
        await home.registry.update_configuration("f", ConfigurationChanges(layers=[]))
        await home.registry.wait_settled("f")
        home.registry.keep_what_runs(lambda: [found])
        assert await home.registry.collect() == ()  # its contexts drain
        assert merged.is_dir()
        home.registry.keep_what_runs(tuple)
        gone = await home.registry.collect()
        assert set(gone) == {layer.sha256 for layer in found.configuration.layers}
        assert not merged.exists()

    run(tmp_path, first)
    run(tmp_path, second)


def test_one_layer_is_not_merged(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await publish(home)
        await home.registry.create(with_layers(arn))
        active = await home.registry.wait_settled("f")
        found = (await home.registry.ensure_extracted(active)).layers
        assert found
        assert found.name == active.configuration.layers[0].sha256
        plain = await home.active("plain")
        assert (await home.registry.ensure_extracted(plain)).layers is None

    run(tmp_path, check)


def test_layers_of_other_regions_and_accounts_are_kept_for_them(tmp_path: Path) -> None:
    async def there(home: House) -> None:
        arn = await publish(home)
        assert arn == "arn:aws:lambda:eu-west-1:000000000000:layer:l:1"
        await home.registry.create(with_layers(arn, await publish(home, "m", "m")))
        await home.registry.wait_settled("f")
        await publish(home, "alone", "alone")

    async def here(home: House) -> None:
        assert numbers(home) == []
        assert await home.registry.collect() == ()
        assert await publish(home) == ARN + "l:1"

    async def back(home: House) -> None:
        assert numbers(home) == numbers(home, "alone") == [1]
        assert (await home.registry.ensure_extracted(home.registry.get("f"))).layers is not None

    run(tmp_path, there, region="eu-west-1")
    run(tmp_path, here)
    run(tmp_path, back, region="eu-west-1")


def test_a_layer_counts_as_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(home: House) -> None:
        await home.active()
        before = home.registry.account_usage()
        await publish(home)
        size = home.registry.layers.get("l", 1).code.size
        after = home.registry.account_usage()
        assert after == (before.total_code_size + size, 1)
        monkeypatch.setattr(limits, "CODE_STORAGE_SIZE", after.total_code_size + size - 1)
        full = "Code storage limit exceeded."
        await refused(publish(home, "m"), AWS.CODE_STORAGE_EXCEEDED, full)
        await refused(home.registry.create(new("g")), AWS.CODE_STORAGE_EXCEEDED, full)
        await home.registry.layers.delete("l", 1)
        await publish(home, "m")

    run(tmp_path, check)


def test_code_and_layers_together_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def check(home: House) -> None:
        arn = await publish(home)
        layer = home.registry.layers.get("l", 1).unzipped
        code = len("def handler(event, context):\n    return event\n")
        monkeypatch.setattr(limits, "UNZIPPED_SIZE", code + layer)
        await home.registry.create(with_layers(arn))
        await home.registry.wait_settled("f")
        await home.active("g")
        monkeypatch.setattr(limits, "UNZIPPED_SIZE", code + layer - 1)
        text = (
            f"Function code combined with layers exceeds the maximum allowed size of "
            f"{code + layer - 1} bytes. The actual size is {code + layer} bytes."
        )
        attach = ConfigurationChanges(layers=[arn])
        for refusal in (
            home.registry.create(with_layers(arn, name="h")),
            home.registry.update_configuration("g", attach),
            home.registry.update_code("f", ZipBytes(handler_zip())),
            home.registry.update_code("f", ZipBytes(handler_zip()), dry_run=True),
        ):
            await refused(refusal, AWS.INVALID_PARAMETER, text)
        await home.registry.update_code("g", OTHER)  # has no layers
        await home.registry.wait_settled("g")
        monkeypatch.setattr(limits, "UNZIPPED_SIZE", layer)
        await refused(
            home.registry.update_configuration("g", attach),
            AWS.INVALID_PARAMETER,
            f"Layers consume more than the available size of {layer} bytes",
        )

    run(tmp_path, check)


def test_the_sum_counts() -> None:
    def attached(unzipped: int) -> AttachedLayer:
        return AttachedLayer("a", "0", 1, unzipped)

    rules.check_unzipped(limits.UNZIPPED_SIZE, [])
    rules.check_unzipped(limits.UNZIPPED_SIZE - 3, [attached(1), attached(2)])
    with pytest.raises(ClientError, match="actual size is 262144001 bytes"):
        rules.check_unzipped(limits.UNZIPPED_SIZE - 2, [attached(1), attached(2)])


def test_a_preloaded_boto3_shadows_no_layer(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        for name, files in {
            "plain": {"python/m.py": "", "six.py": "", "lib/boto3/x.py": ""},
            "flat": {"python/six.py": ""},
            "site": {"python/lib/python3.12/site-packages/urllib3/__init__.py": ""},
        }.items():
            source = ZipBytes(make_zip(dict(files)))
            version = await home.registry.layers.publish(NewLayerVersion(name, source))
            assert version.own_boto3 == (name != "plain")
            importer = NewFunction(
                f"f-{name}", new().configuration, ZipBytes(handler_zip("import boto3\n")),
                layers=[version.version_arn],
            )  # fmt: skip
            await home.registry.create(importer)
            active = await home.registry.wait_settled(f"f-{name}")
            assert active.code.preload == packages.BOTO3
            assert active.preload == (packages.BOTO3 if name == "plain" else packages.BARE)

    run(tmp_path, check)


def test_extensions_are_refused_where_a_function_would_have_them(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        content = zip_of(
            (entry("extensions/agent", 0o100755), b"#!/bin/sh\n"),
            link("extensions/also", "agent"),
            (entry("extensions/more/inner"), b""),
        )
        version = await home.registry.layers.publish(NewLayerVersion("l", ZipBytes(content)))
        assert version.extensions == ("extensions/agent", "extensions/also")
        await refused(
            home.registry.create(with_layers(version.version_arn)),
            AWS.INVALID_PARAMETER,
            f"The layer version {ARN}l:1 brings extensions (extensions/agent, extensions/also), "
            "which Samovar does not start yet: leave the layer out, or publish it without its "
            "directory «extensions».",
        )
        assert home.registry.list().functions == ()

    run(tmp_path, check)


def test_a_change_of_code_in_between_is_a_conflict(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        arn = await publish(home)
        active = await home.active()
        measured = asyncio.Event()
        go_on = asyncio.Event()
        unzipped = home.code.unzipped

        async def slowly(*given: object) -> int:
            size = await unzipped(*given)  # type: ignore[arg-type]
            measured.set()
            await go_on.wait()
            return size

        home.code.unzipped = slowly  # type: ignore[method-assign]
        attaching = asyncio.create_task(
            home.registry.update_configuration("f", ConfigurationChanges(layers=[arn]))
        )
        await measured.wait()
        await home.registry.update_code("f", OTHER)
        await home.registry.wait_settled("f")
        go_on.set()
        await refused(
            attaching,
            AWS.RESOURCE_CONFLICT,
            "The operation cannot be performed at this time. An update is in progress for "
            f"resource: {active.arn}",
        )

    run(tmp_path, check)


def test_a_damaged_record_is_named(tmp_path: Path) -> None:
    import sqlite3

    async def first(home: House) -> None:
        await publish(home)

    run(tmp_path, first)
    with sqlite3.connect(tmp_path / "samovar.db") as database:
        database.execute("UPDATE records SET document = '{}' WHERE kind = 'layer-version'")
    database.close()
    with pytest.raises(EngineError, match=f"layer-version {ARN}l:1 is damaged"):
        asyncio.run(_opened(tmp_path))


async def _opened(data_dir: Path) -> None:
    async with house(data_dir):
        pass
