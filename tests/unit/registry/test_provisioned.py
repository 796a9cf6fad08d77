"""Provisioned concurrency in the registry: who may have it, how much, and what goes with what."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, refused, run

from samovar.errors import AWS, ClientError, EngineError
from samovar.model.concurrency import QUOTA
from samovar.model.function import FunctionVersion
from samovar.model.provisioning import Progress
from samovar.registry.attached import Kind

ARN = PREFIX + "f"
NONE = "No Provisioned Concurrency Config found for this function"
UNPUBLISHED = "Provisioned Concurrency Configs cannot be applied to unpublished function versions."


async def published(home: House, *aliases: str, versions: int = 1, name: str = "f") -> None:
    """A function with that many versions, and aliases of the first of them."""
    await home.active(name)
    for number in range(1, versions + 1):
        await home.registry.versions.publish(name, description=f"{number}")
        await home.registry.wait_settled(name, f"{number}")
    for alias in aliases:
        await home.registry.aliases.create(name, alias, "1")


def wanted(home: House, arn: str = ARN) -> dict[str, int]:
    return {
        kept.version.version: kept.contexts
        for kept in home.registry.provisioned.wanted(arn).values()
    }


def test_what_was_put_is_there_after_a_restart(tmp_path: Path) -> None:
    async def write(home: House) -> None:
        await published(home, "live", "gone", versions=3)
        for qualifier, count in (("live", 3), ("2", 5), ("3", 1), ("gone", 2)):
            shown = await home.registry.provisioned.put("f", qualifier, count)
            assert (shown.config.resource, shown.config.requested) == (f"{ARN}:{qualifier}", count)
        await home.registry.provisioned.put("f", "2", 4)
        await home.registry.provisioned.delete("f", "3")
        await home.registry.provisioned.delete("f", "3")
        await home.registry.aliases.delete("f", "gone")
        told = ("live", "2", "3", "gone", "2", "3", "3")
        assert home.listener.provisioned == [f"{ARN}:{qualifier}" for qualifier in told]

    async def read(home: House) -> None:
        found = home.registry.provisioned.list("f").configs
        assert [(item.config.qualifier, item.config.requested) for item in found] == [
            ("2", 4),
            ("live", 3),
        ]
        assert wanted(home) == {"1": 3, "2": 4}
        assert list(home.registry.provisioned.functions()) == [ARN]
        assert home.registry.concurrency.unreserved() == 993
        for qualifier in ("3", "gone"):
            if qualifier == "gone":
                await home.registry.aliases.create("f", "gone", "1")
            with pytest.raises(ClientError, match=NONE):
                home.registry.provisioned.get("f", qualifier)

    run(tmp_path, write)
    run(tmp_path, read)


def test_it_goes_with_its_version_and_with_its_function(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live", versions=2)
        await home.registry.provisioned.put("f", "2", 5)
        await home.registry.provisioned.put("f", "live", 5)
        await home.registry.versions.delete("f", "2")
        assert wanted(home) == {"1": 5}
        assert home.registry.concurrency.unreserved() == 995
        await home.registry.delete("f")
        assert wanted(home) == {}
        assert home.registry.concurrency.unreserved() == 1000
        kinds = {record.kind for record in await home.store.load()}
        assert Kind.PROVISIONED not in kinds

    run(tmp_path, check)


def test_an_alias_takes_it_along(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live", versions=2)
        await home.registry.provisioned.put("f", "live", 10)
        assert wanted(home) == {"1": 10}
        await home.registry.aliases.update("f", "live", routing={"2": 0.3})
        assert wanted(home) == {"1": 7, "2": 3}
        await home.registry.aliases.update("f", "live", function_version="2", routing={})
        assert wanted(home) == {"2": 10}

    run(tmp_path, check)


def test_two_aliases_of_a_version_add_up(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "a", "b")
        await home.registry.provisioned.put("f", "a", 3)
        await home.registry.provisioned.put("f", "b", 4)
        assert wanted(home) == {"1": 7}
        for there, ready in ((0, [0, 0]), (2, [2, 0]), (3, [3, 0]), (5, [3, 2]), (9, [3, 4])):
            home.registry.provisioned.progress_of = lambda _, there=there: Progress(there, 7)
            found = home.registry.provisioned.list("f").configs
            assert [item.progress.ready for item in found] == ready
            assert [item.progress.allocated for item in found] == [3, 4]

    run(tmp_path, check)


def test_how_far_an_alias_of_two_versions_is(tmp_path: Path) -> None:
    there = {"1": Progress(9, 9), "2": Progress(1, 2, "FUNCTION_ERROR_INIT_FAILURE")}

    def progress_of(version: FunctionVersion) -> Progress:
        return there[version.version]

    async def check(home: House) -> None:
        await published(home, "live", versions=2)
        await home.registry.provisioned.put("f", "live", 10)
        await home.registry.aliases.update("f", "live", routing={"2": 0.3})
        home.registry.provisioned.progress_of = progress_of
        shown = home.registry.provisioned.get("f", "live")
        assert shown.progress == Progress(7 + 1, 7 + 2, "FUNCTION_ERROR_INIT_FAILURE")
        assert shown.status == "FAILED"

    run(tmp_path, check)


def test_who_can_not_have_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live", "two", versions=2)
        await home.registry.aliases.create("f", "latest", "$LATEST")
        await home.registry.aliases.update("f", "two", routing={"2": 0.5})
        put, delete = home.registry.provisioned.put, home.registry.provisioned.delete
        for qualifier in ("$LATEST", None, "latest"):
            await refused(put("f", qualifier, 1), AWS.INVALID_PARAMETER, UNPUBLISHED)
        for qualifier in ("$LATEST", None):
            message = "The function resource provided must be an alias or a published version."
            await refused(delete("f", qualifier), AWS.INVALID_PARAMETER, message)
        await refused(
            put("f", "two", 1),
            AWS.INVALID_PARAMETER,
            "Invalid alias configuration for Provisioned Concurrency",
        )
        missing = f"Cannot find alias arn: {ARN}:none"
        await refused(put("f", "none", 1), AWS.RESOURCE_NOT_FOUND, missing)
        await refused(delete("f", "none"), AWS.RESOURCE_NOT_FOUND, missing)
        missing = f"Function not found: {ARN}:10"
        await refused(put("f", "10", 1), AWS.RESOURCE_NOT_FOUND, missing)
        missing = f"Function not found: {PREFIX}g:1"
        await refused(put("g", "1", 1), AWS.RESOURCE_NOT_FOUND, missing)
        message = "0 can't be provisioned: give 1 or more, or delete the config."
        await refused(put("f", "live", 0), AWS.INVALID_PARAMETER, message)
        assert wanted(home) == {}

    run(tmp_path, check)


def test_snap_start_excludes_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await home.active(snap_start="PublishedVersions")
        await home.published()
        await home.registry.aliases.create("f", "live", "1")
        message = (
            f"{ARN}:1 has SnapStart, which excludes provisioned concurrency: take one of them."
        )
        for qualifier in ("1", "live"):
            put = home.registry.provisioned.put("f", qualifier, 1)
            await refused(put, AWS.INVALID_PARAMETER, message)

    run(tmp_path, check)


def test_a_version_has_it_by_its_number_or_by_an_alias(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live", versions=2)
        put, update = home.registry.provisioned.put, home.registry.aliases.update
        already = (
            "Alias can't be used for Provisioned Concurrency configuration on an already "
            "Provisioned version"
        )
        await put("f", "1", 1)
        await refused(put("f", "live", 1), AWS.RESOURCE_CONFLICT, already)
        await home.registry.provisioned.delete("f", "1")
        await put("f", "live", 1)
        pointed = "Version is pointed by a Provisioned Concurrency alias"
        await refused(put("f", "1", 1), AWS.RESOURCE_CONFLICT, pointed)
        await put("f", "2", 1)
        # Nor does the alias get there by being moved.
        moved = update("f", "live", function_version="2")
        await refused(moved, AWS.RESOURCE_CONFLICT, already)
        weighted = update("f", "live", routing={"2": 0.1})
        await refused(weighted, AWS.RESOURCE_CONFLICT, already)
        unpublished = update("f", "live", function_version="$LATEST")
        await refused(unpublished, AWS.INVALID_PARAMETER, UNPUBLISHED)
        assert wanted(home) == {"1": 1, "2": 1}
        await update("f", "live", description="still movable")

    run(tmp_path, check)


def test_how_much_there_is(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live", versions=2)
        await published(home, name="g")
        put, reserve = home.registry.provisioned.put, home.registry.concurrency.put
        await put("f", "2", 300)
        await put("f", "2", 400)  # in the place of the 300
        await reserve("g", None, 450)
        await refused(
            put("f", "live", 51),
            QUOTA,
            "Specified ConcurrentExecutions for function decreases account's "
            "UnreservedConcurrentExecution below its minimum value of [100].",
        )
        await refused(
            put("f", "live", 151),
            QUOTA,
            "Specified ConcurrentExecutions for function is greater than account's unreserved "
            "concurrency [150].",
        )
        await put("f", "live", 50)
        await refused(
            reserve("f", None, 449),
            QUOTA,
            " ReservedConcurrentExecutions  449 should not be lower than function's total "
            "provisioned concurrency [450].",
        )
        await reserve("f", None, 450)
        assert home.registry.concurrency.unreserved() == 100
        await put("f", "live", 49)
        await refused(
            put("f", "live", 51),
            QUOTA,
            "Requested Provisioned Concurrency should not be greater than the "
            "reservedConcurrentExecution for function",
        )

    run(tmp_path, check)


def test_of_two_that_want_the_last_of_it_one_gets_it(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home)
        await published(home, name="g")
        home.store.hold()
        both = asyncio.gather(
            home.registry.provisioned.put("f", "1", 500),
            home.registry.concurrency.put("g", None, 500),
            return_exceptions=True,
        )
        await home.store.reached.wait()
        home.store.let_go()
        assert sum(isinstance(outcome, ClientError) for outcome in await both) == 1
        assert home.registry.concurrency.unreserved() == 500

    run(tmp_path, check)


def test_a_put_that_waited_while_its_alias_was_deleted(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, "live")
        home.store.hold()
        deleting = asyncio.create_task(home.registry.aliases.delete("f", "live"))
        await home.store.reached.wait()
        putting = asyncio.create_task(home.registry.provisioned.put("f", "live", 1))
        await asyncio.sleep(0)
        home.store.let_go()
        await deleting
        await refused(putting, AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}:live")
        assert home.registry.concurrency.unreserved() == 1000

    run(tmp_path, check)


def test_what_the_disk_did_not_take_is_not_provisioned(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home)
        home.store.fail()
        with pytest.raises(EngineError):
            await home.registry.provisioned.put("f", "1", 5)
        home.store.let_go()
        assert wanted(home) == {}
        assert home.listener.provisioned == []

    run(tmp_path, check)


def test_pages(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await published(home, *(f"a{number}" for number in range(5)))
        for number in range(5):
            await home.registry.provisioned.put("f", f"a{number}", 1)
        seen: list[str] = []
        marker = None
        for _ in range(3):
            page = home.registry.provisioned.list("f", marker, 2)
            seen += [item.config.qualifier for item in page.configs]
            marker = page.next_marker
        assert (seen, marker) == ([f"a{number}" for number in range(5)], None)
        with pytest.raises(ClientError, match="not one that ListProvisionedConcurrencyConfigs"):
            home.registry.provisioned.list("f", "x")

    run(tmp_path, check)
