"""The life of functions in the registry, on real files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, house, new
from tests.unit.registry.zips import handler_zip, make_zip

from samovar.errors import AWS, AwsError, ClientError, EngineError
from samovar.model import limits
from samovar.model.function import State, UpdateStatus
from samovar.registry.functions import (
    ConfigurationChanges,
    Directory,
    Module,
    ZipBytes,
)

Check = Callable[[House], Awaitable[None]]
OTHER = ZipBytes(handler_zip("def handler(event, context):\n    return 2\n"))


def run(data_dir: Path, check: Check, **settings: str) -> None:
    async def opened() -> None:
        async with house(data_dir, **settings) as home:
            await check(home)

    asyncio.run(opened())


async def refused(awaitable: Awaitable[object], error: AwsError, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        await awaitable
    assert caught.value.error is error
    assert caught.value.message == message


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


def test_delete(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active(tags={"a": "b"})
        await home.registry.delete("f")
        assert home.listener.told == [(None, active), (active, None)]
        assert home.registry.list().functions == ()
        again = await home.active()
        assert home.registry.tags_of("f") == {}
        assert again.pool != active.pool  # contexts of the deleted one may still drain

    run(tmp_path, check)


def test_delete_while_an_update_is_in_progress(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        home.store.hold(after=1)
        await home.registry.update_code("f", OTHER)
        deletion = asyncio.create_task(home.registry.delete("f"))
        waiter = asyncio.create_task(home.registry.wait_settled("f"))
        await home.store.reached.wait()
        home.store.let_go()
        await deletion
        (_, done), (old, updated), (last, nothing) = home.listener.told
        assert (done, old, last, nothing) == (active, active, updated, None)
        with pytest.raises(ClientError):
            home.registry.resolve("f")
        # Whether it saw the update's end or the deletion: it does not wait for ever.
        await asyncio.gather(waiter, return_exceptions=True)

    run(tmp_path, check)

    async def gone(home: House) -> None:
        assert home.registry.list().functions == ()

    run(tmp_path, gone)


def test_delete_while_pending(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail(after=1)  # it can't turn Active
        await home.registry.create(new())
        await home.store.reached.wait()
        home.store.let_go()
        waiter = asyncio.create_task(home.registry.wait_settled("f"))
        await asyncio.sleep(0)
        await home.registry.delete("f")
        with pytest.raises(ClientError, match="Function not found"):
            await waiter
        await home.clock.fire()  # the next try finds nothing to do
        await home.registry.close()
        assert home.listener.told == []

    run(tmp_path, check)


def test_a_client_that_hangs_up_does_not_stop_a_change(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        creation = asyncio.create_task(home.registry.create(new()))
        await home.store.reached.wait()
        creation.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creation
        assert home.registry.list().functions == ()
        home.store.let_go()

    run(tmp_path, check)  # closing waits for the change

    async def there(home: House) -> None:
        assert home.registry.resolve("f").state is State.ACTIVE

    run(tmp_path, there)


def test_a_disk_that_fails_changes_nothing(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active()
        home.store.fail()
        for call in (
            home.registry.create(new("g")),
            home.registry.update_code("f", OTHER),
            home.registry.update_configuration("f", ConfigurationChanges(timeout=9)),
            home.registry.delete("f"),
            home.registry.tag("f", {"a": "b"}),
        ):
            with pytest.raises(EngineError, match="full"):
                await call
        assert home.registry.list().functions == (active,)
        assert home.registry.resolve("f") is active
        assert home.registry.tags_of("f") == {}

    run(tmp_path, check)


def test_a_transition_is_tried_again_until_the_disk_is_well(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.fail(after=1)
        await home.registry.create(new())
        await home.clock.fire()
        home.store.reached.clear()
        await home.store.reached.wait()  # the second try has failed, too
        assert home.registry.get("f").state is State.PENDING
        home.store.let_go()
        await home.clock.fire()
        assert (await home.registry.wait_settled("f")).state is State.ACTIVE

    run(tmp_path, check)


def test_no_changes_after_the_end(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.registry.close()
        with pytest.raises(EngineError, match="stopping"):
            await home.registry.create(new())
        await home.registry.close()

    run(tmp_path, check)


def test_pages(tmp_path: Path) -> None:
    names = [f"f{number:03}" for number in range(60)]

    async def check(home: House) -> None:
        registry = home.registry
        await asyncio.gather(*(registry.create(new(name)) for name in reversed(names)))
        first = registry.list()
        assert [item.name for item in first.functions] == names[:50]
        await registry.delete(names[3])  # what goes does not move what follows
        second = registry.list(first.next_marker)
        assert ([item.name for item in second.functions], second.next_marker) == (names[50:], None)
        assert len(registry.list(max_items=10000).functions) == 50
        small = registry.list(max_items=2)
        assert [item.name for item in small.functions] == names[:2]
        assert [item.name for item in registry.list(small.next_marker, 1).functions] == names[2:3]
        assert registry.account_usage() == (59 * len(handler_zip()), 59)
        for bad in (0, 10001):
            with pytest.raises(ClientError) as caught:
                registry.list(max_items=bad)
            assert caught.value.error is AWS.VALIDATION
        for marker in ("x", "ü", "AAAA", "\udfff"):
            with pytest.raises(ClientError, match="not one that ListFunctions gave"):
                registry.list(marker)

    run(tmp_path, check)


def test_tags(tmp_path: Path) -> None:
    arn = f"{PREFIX}f"

    async def check(home: House) -> None:
        active = await home.active(tags={"a": "1", "b": "2"})
        registry = home.registry
        await registry.tag(arn, {"b": "3", "c": "ü"})
        assert registry.tags_of(arn) == {"a": "1", "b": "3", "c": "ü"}
        await registry.untag("f", ["a", "never"])
        assert registry.tags_of("f") == {"b": "3", "c": "ü"}
        assert registry.get("f") is active  # tags are no part of the revision
        await registry.tag(arn, {f"k{number}": "" for number in range(48)})
        too_many = "Number of tags exceeds resource tag limit."
        await refused(registry.tag(arn, {"more": ""}), AWS.INVALID_PARAMETER, too_many)
        await refused(
            registry.tag(arn, {}),
            AWS.INVALID_PARAMETER,
            "An error occurred and the request cannot be processed.",
        )
        qualified = (
            "Tags on function aliases and versions are not supported. "
            "Please specify a function ARN."
        )
        await refused(registry.tag(f"{arn}:1", {"a": "b"}), AWS.INVALID_PARAMETER, qualified)
        with pytest.raises(ClientError) as caught:
            registry.tags_of(arn.replace("function:f", "event-source-mapping:x"))
        assert caught.value.error is AWS.NOT_CARRIED_OUT

    run(tmp_path, check)

    async def still_there(home: House) -> None:
        assert len(home.registry.tags_of(arn)) == 50

    run(tmp_path, still_there)


def test_a_listener_that_fails_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing:
        def function_changed(self, old: object, new: object) -> None:
            raise ZeroDivisionError

    async def check(home: House) -> None:
        unsubscribe = home.registry.subscribe(Failing())
        later: list[object] = []

        class Later:
            def function_changed(self, old: object, new: object) -> None:
                later.append(new)

        home.registry.subscribe(Later())
        active = await home.active()
        assert later == [active]
        unsubscribe()
        caplog.clear()
        await home.active("g")
        assert "listener" not in caplog.text

    run(tmp_path, check)


def test_packages_of_nobody_are_collected(tmp_path: Path) -> None:
    zips = tmp_path / "code" / "zip"

    async def check(home: House) -> None:
        old = await home.active()
        await home.registry.update_code("f", OTHER)
        current = await home.registry.wait_settled("f")
        assert await home.registry.collect([old]) == ()  # its contexts drain
        assert await home.registry.collect() == (old.code.sha256,)
        assert [path.stem for path in zips.iterdir()] == [current.code.sha256]
        await home.registry.delete("f")

    run(tmp_path, check)
    assert len(list(zips.iterdir())) == 1

    async def nothing(home: House) -> None:
        pass

    run(tmp_path, nothing)  # opening collects
    assert list(zips.iterdir()) == []


def test_nothing_is_collected_while_code_arrives(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        home.store.hold()
        creation = asyncio.create_task(home.registry.create(new()))
        await home.store.reached.wait()  # the package is there, the function is not
        assert await home.registry.collect() == ()
        home.store.let_go()
        await creation
        await home.registry.ensure_extracted(await home.registry.wait_settled("f"))

    run(tmp_path, check)


def test_trees_are_extracted_once_for_all_who_wait(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        active = await home.active(source=ZipBytes(make_zip({"app.py": "x = 1"})))
        tree = (await home.registry.ensure_extracted(active)).path
        (tree / "app.py").unlink()
        tree.rmdir()
        waiting = [asyncio.create_task(home.registry.ensure_extracted(active)) for _ in range(20)]
        await asyncio.sleep(0)
        waiting[0].cancel()  # one impatient caller
        results = await asyncio.gather(*waiting[1:])
        assert {result.path for result in results} == {tree}
        assert {result.seconds for result in results} == {0.0}  # the clock stands still
        assert (tree / "app.py").read_text() == "x = 1"
        assert await home.registry.read_package(active) == make_zip({"app.py": "x = 1"})

    run(tmp_path, check)
