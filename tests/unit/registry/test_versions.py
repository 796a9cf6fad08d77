"""Published versions in the registry: numbered, immutable, kept, listed, deleted."""

from __future__ import annotations

import asyncio
import base64
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, PREFIX, House, new, refused, run
from tests.unit.registry.test_hot_reload import live, until
from tests.unit.registry.zips import handler_zip

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.model.function import LATEST, FunctionVersion, State, UpdateStatus
from samovar.model.policy import Statement
from samovar.registry.functions import ConfigurationChanges, Unready, ZipBytes

ARN = PREFIX + "f"


def numbers(home: House, name: str = "f") -> list[str]:
    return [version.version for version in home.registry.versions.list(name).functions]


def test_a_version_stays_as_it_was(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        latest = await home.active(timeout=9, environment={"AB": "c"})
        pending = await home.registry.versions.publish("f", description="first")
        assert (pending.version, pending.state) == ("1", State.PENDING)
        assert pending.qualified_arn == f"{ARN}:1"
        with pytest.raises(ClientError) as caught:
            home.registry.resolve("f", "1")
        assert caught.value.error is AWS.RESOURCE_CONFLICT
        assert caught.value.message.endswith("in the following state: Pending")
        first = await home.registry.wait_settled("f", "1")
        assert (first.state, first.update_status) == (State.ACTIVE, UpdateStatus.SUCCESSFUL)
        assert first.revision_id == pending.revision_id
        assert first.configuration == replace(latest.configuration, description="first")
        assert home.registry.get("f").revision_id != latest.revision_id
        assert home.registry.get("f").configuration == latest.configuration
        assert home.listener.of_versions == [("published", "1")]

        await home.registry.update_code("f", OTHER)
        await home.registry.wait_settled("f")
        changed = await home.changed(timeout=10)
        assert home.registry.resolve("f", "1") == home.registry.get("f", "1") == first
        assert home.registry.resolve("f", LATEST) == home.registry.resolve("f") == changed
        assert len({first.pool, changed.pool, latest.pool}) == 3
        assert (await home.published()).version == "2"

    run(tmp_path, check)


def test_what_has_not_changed_is_no_new_version(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active(description="own")
        first = await home.published(description="first")
        revision = home.registry.get("f").revision_id
        assert await home.published() == await home.published(description="first") == first
        assert home.registry.get("f").revision_id == revision
        assert home.listener.of_versions == [("published", "1")]

        assert (await home.published(description="")).version == "2"
        await home.changed(description="another")
        assert (await home.published()).version == "3"
        await home.changed(timeout=10)
        assert (await home.published()).version == "4"
        await home.changed(timeout=10)  # nothing new
        assert (await home.published()).version == "4"
        await home.registry.update_code("f", OTHER)
        await home.registry.wait_settled("f")
        assert (await home.published()).version == "5"
        assert numbers(home) == [LATEST, "1", "2", "3", "4", "5"]

    run(tmp_path, check)


def test_what_is_demanded_of_latest(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        publish = home.registry.versions.publish
        await refused(publish("f"), AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}")
        latest = await home.active()
        sha = base64.b64encode(bytes.fromhex(latest.code.sha256)).decode()
        await refused(
            publish("f", code_sha256="abc"),
            AWS.INVALID_PARAMETER,
            f"CodeSHA256 (abc) is different from current CodeSHA256 in $LATEST ({sha}). Please try "
            "again with the CodeSHA256 in $LATEST.",
        )
        await refused(
            publish("f", revision_id="abc"),
            AWS.PRECONDITION_FAILED,
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        with pytest.raises(ClientError, match="length less than or equal to 256"):
            await publish("f", description="x" * 257)
        assert numbers(home) == [LATEST]
        await publish("f", code_sha256=sha, revision_id=latest.revision_id)

        home.store.hold(after=1)  # the update is written, and stays in progress
        await home.registry.update_configuration("f", ConfigurationChanges(timeout=9))
        await refused(
            publish("f"),
            AWS.RESOURCE_CONFLICT,
            "The operation cannot be performed at this time. An update is in progress for "
            f"resource: {ARN}",
        )

    run(tmp_path, check)


def test_numbers_are_never_given_twice(tmp_path: Path) -> None:
    async def first(home: House) -> None:
        await home.active()
        await home.published()
        await home.published(description="2")
        await home.registry.versions.delete("f", "2")
        assert numbers(home) == [LATEST, "1"]

    async def second(home: House) -> None:
        assert (await home.published(description="3")).version == "3"
        await home.registry.versions.delete("f", "1")
        await home.registry.versions.delete("f", "3")
        # The last one is gone: what has not changed is published anew.
        assert (await home.published()).version == "4"
        assert home.listener.of_versions[1:] == [
            ("deleted", "1"),
            ("deleted", "3"),
            ("published", "4"),
        ]

    run(tmp_path, first)
    run(tmp_path, second)


def test_published_with_the_function(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        version = await home.registry.create(replace(new(), publish=True))
        assert (version.version, version.state) == ("1", State.PENDING)
        await home.registry.wait_settled("f")
        await home.registry.wait_settled("f", "1")
        assert home.registry.get("f").last_number == 1

        again = await home.registry.update_code("f", new().source, publish=True)
        assert again.version == "1"  # the same code, and so the same version
        await home.registry.wait_settled("f")
        second = await home.registry.update_code("f", OTHER, publish=True)
        assert (second.version, second.state) == ("2", State.PENDING)
        assert home.registry.get("f").update_status is UpdateStatus.IN_PROGRESS
        await home.registry.wait_settled("f")
        await home.registry.wait_settled("f", "2")
        assert home.registry.resolve("f").code == home.registry.resolve("f", "2").code
        assert home.registry.resolve("f", "1").code != second.code
        assert home.listener.of_versions == [("published", "1"), ("published", "2")]
        before = numbers(home)
        await home.registry.update_code("f", new().source, publish=True, dry_run=True)
        assert numbers(home) == before

    run(tmp_path, check)


def test_code_and_layers_of_a_version_are_kept(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active()
        await home.published()
        await home.registry.update_code("f", OTHER)
        await home.registry.wait_settled("f")
        assert await home.registry.collect() == ()
        tree = await home.registry.ensure_extracted(home.registry.resolve("f", "1"))
        assert (tree.path / "app.py").is_file()
        used = home.registry.account_usage()
        size = old.code.size + home.registry.get("f").code.size
        assert (used.total_code_size, used.function_count) == (size, 1)
        await home.registry.versions.delete("f", "1")
        assert await home.registry.collect() == (old.code.sha256,)

    run(tmp_path, check)


def test_versions_take_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def check(home: House) -> None:
        latest = await home.active()
        size = latest.code.size
        monkeypatch.setattr(limits, "CODE_STORAGE_SIZE", 2 * size - 1)
        full = (AWS.CODE_STORAGE_EXCEEDED, "Code storage limit exceeded.")
        await refused(home.registry.versions.publish("f"), *full)
        monkeypatch.setattr(limits, "CODE_STORAGE_SIZE", 2 * size)
        await home.published()
        await refused(home.registry.versions.publish("f", description="x"), *full)
        longer = ZipBytes(handler_zip("def handler(event, context):\n    return 12345\n"))
        await refused(home.registry.update_code("f", longer, publish=True), *full)
        await refused(home.registry.create(replace(new("g"), publish=True)), *full)
        assert numbers(home) == [LATEST, "1"]

    run(tmp_path, check)


def test_a_version_that_can_not_be_made_ready_fails(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()

        async def unready(version: FunctionVersion) -> Unready:
            return Unready("it broke", "FunctionError")

        home.registry.make_ready_with(unready)
        failed = await home.published()
        assert (failed.state, failed.state_reason, failed.state_reason_code) == (
            State.FAILED,
            "it broke",
            "FunctionError",
        )
        assert home.listener.of_versions == []
        with pytest.raises(ClientError, match="following state: Failed"):
            home.registry.resolve("f", "1")
        changed = await home.changed(timeout=9)  # which gives one too, and is served all the same
        assert home.registry.resolve("f") == changed
        await home.changed(timeout=3)
        assert (await home.published()).version == "2"  # tried again

    run(tmp_path, check)


def test_a_full_disk_is_tried_again(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        home.store.fail(after=1)
        await home.registry.versions.publish("f")
        await home.store.reached.wait()
        home.store.let_go()
        await home.clock.fire()
        assert (await home.registry.wait_settled("f", "1")).state is State.ACTIVE

    run(tmp_path, check)


def test_deletion(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        delete = home.registry.versions.delete
        await refused(delete("f", "1"), AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}")
        await home.active()
        first = await home.published()
        await home.published(description="2")
        await refused(
            delete("f", LATEST),
            AWS.INVALID_PARAMETER,
            "$LATEST version cannot be deleted without deleting the function.",
        )
        await home.registry.aliases.create("f", "live", "2", routing={"1": 0.5})
        await home.registry.aliases.create("f", "blue", "1")
        await refused(
            delete("f", "live"),
            AWS.INVALID_PARAMETER,
            "Deletion of aliases is not currently supported.",
        )
        await refused(
            delete("f", "1"),
            AWS.RESOURCE_CONFLICT,
            "Unable to delete version because the following aliases reference it: [blue, live]",
        )
        await delete("f", "77")
        await home.registry.aliases.delete("f", "live")
        await home.registry.aliases.delete("f", "blue")
        await delete("f", "1")
        for qualifier in ("1", "live", "$LATEST.PUBLISHED"):
            with pytest.raises(ClientError) as caught:
                home.registry.resolve("f", qualifier)
            assert caught.value.message == f"Function not found: {ARN}:{qualifier}"
        with pytest.raises(ClientError, match="not found"):
            await home.registry.wait_settled("f", first.version)

    run(tmp_path, check)


def test_the_function_s_end_is_that_of_all(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        latest = await home.active()
        await home.published()
        alias = await home.registry.aliases.create("f", "live", "1")
        statement = Statement("s", "*", "lambda:InvokeFunction", ARN, {})
        await home.registry.permissions.add("f", None, statement)
        home.listener.told.clear()
        await home.registry.delete("f")
        assert home.listener.of_versions == [("published", "1"), ("deleted", "1")]
        assert home.listener.of_aliases[-1] == (alias, None)
        ((old, gone),) = home.listener.told
        assert old is not None
        assert (old.pool, gone) == (latest.pool, None)
        assert await home.store.load() == ()
        # The same name from the beginning, and no pool of its namesake's.
        await home.active()
        fresh = await home.published()
        assert fresh.version == "1"
        assert fresh.generation > latest.generation + 1

    run(tmp_path, check)


def test_a_version_deleted_while_it_is_made_ready(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active()
        reached, gate = asyncio.Event(), asyncio.Event()

        async def hold(_: FunctionVersion) -> None:
            reached.set()
            await gate.wait()

        home.registry.make_ready_with(hold)
        await home.registry.versions.publish("f")
        await reached.wait()
        await home.registry.versions.delete("f", "1")
        gate.set()
        home.registry.make_ready_with(lambda _: asyncio.sleep(0))
        assert (await home.published()).version == "2"
        assert home.listener.of_versions == [("deleted", "1"), ("published", "2")]

    run(tmp_path, check)


def test_pages(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active("f")
        await home.active("f-2")
        for number in range(11):
            await home.published(description=f"{number}")
        everything = [LATEST, *map(str, range(1, 12))]
        found, marker = [], None
        while True:
            page = home.registry.versions.list("f", marker, 5)
            assert len(page.functions) <= 5
            found += [version.version for version in page.functions]
            marker = page.next_marker
            if marker is None:
                break
        assert found == everything
        of_all: list[str] = []
        while True:
            page = home.registry.list(marker, 5, all_versions=True)
            of_all += [f"{version.name}:{version.version}" for version in page.functions]
            marker = page.next_marker
            if marker is None:
                break
        assert of_all == [*(f"f:{number}" for number in everything), f"f-2:{LATEST}"]
        assert [version.name for version in home.registry.list().functions] == ["f", "f-2"]
        with pytest.raises(ClientError, match="not one that ListVersionsByFunction gave"):
            home.registry.versions.list("f", "nonsense")

    run(tmp_path, check)


def test_a_live_directory_is_copied(tmp_path: Path) -> None:
    code = tmp_path / "code"
    code.mkdir()
    (code / "app.py").write_text("x = 1\n")

    async def check(home: House) -> None:
        latest = await home.active(source=live(code))
        first = await home.published()
        assert first.code.directory == ""
        assert (await home.published()).version == "1"
        (code / "app.py").write_text("x = 22\n")
        await until(home, lambda: home.registry.get("f").code != latest.code)
        assert (await home.published()).version == "2"
        for version, text in (("1", "x = 1\n"), ("2", "x = 22\n")):
            tree = await home.registry.ensure_extracted(home.registry.resolve("f", version))
            assert (tree.path / "app.py").read_text() == text
        one = await home.registry.create(replace(new("g", live(code)), publish=True))
        assert (one.version, one.code.directory) == ("1", "")
        assert home.registry.get("g").code.directory == str(code)
        await home.registry.wait_settled("g")
        again = await home.registry.update_code("g", live(code), publish=True)
        assert again.version == "1"

    run(tmp_path / "data", check)

    async def later(home: House) -> None:
        tree = await home.registry.ensure_extracted(home.registry.resolve("f", "1"))
        assert (tree.path / "app.py").read_text() == "x = 1\n"

    run(tmp_path / "data", later)
