"""The life of functions in the registry, on real files."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest
from tests.unit.registry.house import OTHER, PREFIX, House, new, refused, run
from tests.unit.registry.zips import handler_zip

from samovar.errors import AWS, AwsError, ClientError
from samovar.model import limits
from samovar.model.function import State, UpdateStatus
from samovar.registry.functions import (
    ConfigurationChanges,
    Directory,
    Module,
    ZipBytes,
)


def test_create_is_pending_and_turns_active(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        created = await home.registry.create(new(environment={}))
        assert created.arn == f"{PREFIX}f"
        assert (created.state, created.state_reason, created.state_reason_code) == (
            State.PENDING,
            "The function is being created.",
            "Creating",
        )
        assert created.update_status is None
        assert created.version == "$LATEST"
        assert created.last_modified == home.clock.now
        assert created.code.sha256 == hashlib.sha256(handler_zip()).hexdigest()
        assert created.code.size == len(handler_zip())
        active = await home.registry.wait_settled("f")
        assert (active.state, active.state_reason, active.state_reason_code) == (
            State.ACTIVE,
            None,
            None,
        )
        assert active.update_status is UpdateStatus.SUCCESSFUL
        assert active.revision_id != created.revision_id
        assert active.pool == created.pool
        assert home.registry.get("f") is home.registry.resolve("f") is active
        assert home.registry.resolve("f", "$LATEST") is active
        assert home.listener.told == [(None, active)]

    run(tmp_path, check)


def test_while_pending(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold(after=1)  # the write of the creation passes, the one to Active waits
        created = await home.registry.create(new())
        assert home.registry.get("f") == created
        with pytest.raises(ClientError) as caught:
            home.registry.resolve("f")
        assert caught.value.error is AWS.RESOURCE_CONFLICT
        assert caught.value.message == (
            "The operation cannot be performed at this time. The function is currently in the "
            "following state: Pending"
        )
        busy = (
            "The operation cannot be performed at this time. The resource "
            f"{PREFIX}f is currently in the following state: 'Pending'. "
            "StateReasonCode: 'Creating'"
        )
        registry = home.registry
        await refused(registry.update_code("f", OTHER), AWS.RESOURCE_CONFLICT, busy)
        home.store.let_go()
        await registry.wait_settled("f")

    run(tmp_path, check)


def test_update_of_code(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active()
        home.clock.now += 60
        home.store.hold(after=1)
        updated = await home.registry.update_code("f", OTHER)
        assert updated.state is State.ACTIVE
        assert (updated.update_status, updated.update_reason, updated.update_reason_code) == (
            UpdateStatus.IN_PROGRESS,
            "The function is being created.",
            "Creating",
        )
        assert updated.last_modified == home.clock.now
        assert updated.code.sha256 != old.code.sha256
        assert len({old.revision_id, updated.revision_id}) == 2
        # Invocations go on with the old code until the update is through.
        assert home.registry.get("f") == updated
        assert home.registry.resolve("f") is old
        busy = (
            "The operation cannot be performed at this time. An update is in progress for "
            f"resource: {PREFIX}f"
        )
        changes = ConfigurationChanges(timeout=9)
        registry = home.registry
        await refused(registry.update_code("f", OTHER), AWS.RESOURCE_CONFLICT, busy)
        await refused(registry.update_configuration("f", changes), AWS.RESOURCE_CONFLICT, busy)
        await refused(registry.tag("f", {"a": "b"}), AWS.RESOURCE_CONFLICT, busy)
        home.store.let_go()
        done = await home.registry.wait_settled("f")
        assert done.update_status is UpdateStatus.SUCCESSFUL
        assert (done.update_reason, done.update_reason_code) == (None, None)
        assert done.revision_id not in (old.revision_id, updated.revision_id)
        assert done.last_modified == updated.last_modified
        assert home.registry.resolve("f") is done
        assert done.pool == updated.pool != old.pool
        assert home.listener.told == [(None, old), (old, done)]

    run(tmp_path, check)


def test_update_of_configuration_leaves_alone_what_is_not_given(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active(environment={"AB": "1", "CD": "2"}, timeout=5, description="d")
        await home.registry.update_configuration("f", ConfigurationChanges(memory_size=256))
        first = (await home.registry.wait_settled("f")).configuration
        assert (first.memory_size, first.timeout, first.description) == (256, 5, "d")
        assert first.environment == {"AB": "1", "CD": "2"}
        changes = ConfigurationChanges(environment={"CD": "3"}, description="", log_group="/x")
        await home.registry.update_configuration("f", changes)
        second = (await home.registry.wait_settled("f")).configuration
        assert second.environment == {"CD": "3"}  # replaced as a whole
        assert (second.description, second.log_group, second.timeout) == ("", "/x", 5)
        await home.registry.update_configuration("f", ConfigurationChanges(environment={}))
        assert (await home.registry.wait_settled("f")).configuration.environment == {}

    run(tmp_path, check)


def test_an_update_that_changes_nothing_is_one_all_the_same(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        old = await home.active()
        await home.registry.update_configuration("f", ConfigurationChanges())
        done = await home.registry.wait_settled("f")
        assert done.revision_id != old.revision_id
        await home.registry.update_code("f", ZipBytes(handler_zip()))
        assert (await home.registry.wait_settled("f")).code == old.code

    run(tmp_path, check)


def test_revision_ids_are_demanded(tmp_path: Path) -> None:
    wrong = (
        "The Revision Id provided does not match the latest Revision Id. Call the "
        "GetFunction/GetAlias API to retrieve the latest Revision Id"
    )

    async def check(home: House) -> None:
        created = await home.registry.create(new())
        active = await home.registry.wait_settled("f")
        stale = created.revision_id
        changes = ConfigurationChanges(timeout=9)
        registry = home.registry
        await refused(
            registry.update_configuration("f", changes, revision_id=stale),
            AWS.PRECONDITION_FAILED,
            wrong,
        )
        await refused(
            registry.update_code("f", OTHER, revision_id=stale), AWS.PRECONDITION_FAILED, wrong
        )
        assert registry.get("f") is active
        await registry.update_code("f", OTHER, revision_id=active.revision_id)

    run(tmp_path, check)


def test_a_dry_run_changes_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        shown = await home.registry.update_code("f", OTHER, dry_run=True)
        assert shown.code.sha256 == hashlib.sha256(OTHER.data).hexdigest()
        assert home.registry.get("f") is active
        with pytest.raises(ClientError, match="Could not unzip"):
            await home.registry.update_code("f", ZipBytes(b"x"), dry_run=True)
        assert len(list((tmp_path / "code" / "zip").iterdir())) == 1

    run(tmp_path, check)


def test_unknown_functions(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        registry = home.registry
        plain = f"Function not found: {PREFIX}nope"
        for call in (
            registry.delete("nope"),
            registry.update_code("nope", OTHER),
            registry.update_configuration("nope", ConfigurationChanges()),
            registry.wait_settled("nope"),
            registry.tag("nope", {"a": "b"}),
            registry.untag("nope", ["a"]),
        ):
            await refused(call, AWS.RESOURCE_NOT_FOUND, plain)
        await home.active()
        for read, message in (
            (lambda: registry.get("nope"), plain),
            (lambda: registry.get("f", "7"), f"Function not found: {PREFIX}f:7"),
            (lambda: registry.tags_of("nope"), plain),
            (lambda: registry.resolve("nope"), f"{plain}:$LATEST"),
            (lambda: registry.resolve("nope", "live"), f"{plain}:live"),
            (lambda: registry.resolve("f", "$latest"), f"Function not found: {PREFIX}f:$latest"),
        ):
            with pytest.raises(ClientError) as caught:
                read()
            assert caught.value.error is AWS.RESOURCE_NOT_FOUND
            assert caught.value.message == message

    run(tmp_path, check)


def test_a_name_is_taken_once(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        results = await asyncio.gather(
            *(home.registry.create(new(timeout=n)) for n in (1, 2, 3)), return_exceptions=True
        )
        errors = [result for result in results if isinstance(result, ClientError)]
        assert len(errors) == 2
        assert {error.message for error in errors} == {"Function already exist: f"}
        assert {error.error for error in errors} == {AWS.RESOURCE_CONFLICT}
        await refused(home.registry.create(new()), AWS.RESOURCE_CONFLICT, errors[0].message)

    run(tmp_path, check)


@pytest.mark.parametrize(
    ("function", "error", "text"),
    [
        (new("a b"), AWS.VALIDATION, "functionName"),
        (new("f:1"), AWS.INVALID_PARAMETER, "leave the qualifier out"),
        (new("f" * 65), AWS.INVALID_PARAMETER, "less than or equal to 64"),
        (new(role="r"), AWS.VALIDATION, "'role'"),
        (new(runtime="python3.14"), AWS.INVALID_PARAMETER, "SAMOVAR_INTERPRETERS=python3.14="),
        (new(runtime="perl5"), AWS.INVALID_PARAMETER, "enum value set"),
        (new(timeout=901), AWS.VALIDATION, "'timeout'"),
        (new(environment={"AWS_REGION": "x"}), AWS.INVALID_PARAMETER, "reserved keys"),
        (new(tags={"aws:x": "y"}), AWS.INVALID_PARAMETER, "aws:"),
        (new(source=ZipBytes(b"no")), AWS.INVALID_PARAMETER, "Could not unzip"),
        (new(source=Directory(Path("/nowhere"))), AWS.INVALID_PARAMETER, "not a directory"),
        (new(source=Module("json:loads")), AWS.INVALID_PARAMETER, "Python itself"),
        (
            new(source=ZipBytes(bytes(limits.ZIPPED_INLINE_SIZE + 1))),
            AWS.REQUEST_TOO_LARGE,
            "Zipped size must be smaller than 52428800 bytes",
        ),
    ],
)
def test_bad_requests_leave_nothing(
    tmp_path: Path, function: object, error: AwsError, text: str
) -> None:
    async def check(home: House) -> None:
        with pytest.raises(ClientError) as caught:
            await home.registry.create(function)  # type: ignore[arg-type]
        assert caught.value.error is error
        assert text in caught.value.message
        assert home.registry.list().functions == ()
        assert list((tmp_path / "code" / "zip").iterdir()) == []
        assert list((tmp_path / "code" / "tmp").iterdir()) == []
        assert home.listener.told == []

    run(tmp_path, check)


def test_a_bad_update_changes_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        for changes in (
            ConfigurationChanges(timeout=901),
            ConfigurationChanges(runtime="python3.14"),
            ConfigurationChanges(environment={"_HANDLER": "x"}),
        ):
            with pytest.raises(ClientError):
                await home.registry.update_configuration("f", changes)
        with pytest.raises(ClientError):
            await home.registry.update_code("f", ZipBytes(b"no"))
        assert home.registry.get("f") is home.registry.resolve("f") is active

    run(tmp_path, check)


def test_code_storage_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "CODE_STORAGE_SIZE", len(handler_zip()) + 10)

    async def check(home: House) -> None:
        await home.active()
        with pytest.raises(ClientError) as caught:
            await home.registry.create(new("g"))
        assert caught.value.error is AWS.CODE_STORAGE_EXCEEDED
        await home.registry.update_code("f", ZipBytes(handler_zip()))  # replaces, adds nothing

    run(tmp_path, check)
