"""Aliases in the registry: names of versions, of two by weight."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, refused, run

from samovar.errors import AWS, AwsError, ClientError
from samovar.model.alias import Alias
from samovar.model.function import LATEST

ARN = PREFIX + "f"
NOT_LATEST = "$LATEST is not supported for an alias pointing to more than 1 version"
BROKEN = "1 validation error detected: Value '{}' at '{}' failed to satisfy constraint: Member must"


async def three(home: House) -> None:
    await home.active()
    for number in "123":
        await home.published(description=number)


def test_an_alias_stands_for_a_version(tmp_path: Path) -> None:
    async def first(home: House) -> None:
        await three(home)
        revision = home.registry.get("f").revision_id
        made = await home.registry.aliases.create("f", "live", "1", description="d")
        assert made == Alias("live", f"{ARN}:live", "1", "d", made.revision_id)
        assert home.registry.aliases.get("f", "live") == made
        assert home.registry.resolve("f", "live") == home.registry.resolve("f", "1")
        moved = await home.registry.aliases.update(
            "f", "live", function_version="2", revision_id=made.revision_id
        )
        assert (moved.function_version, moved.description) == ("2", "d")
        assert moved.revision_id != made.revision_id
        assert home.registry.resolve("f", "live") == home.registry.resolve("f", "2")
        assert home.listener.of_aliases == [(None, made), (made, moved)]
        assert home.registry.get("f").revision_id == revision
        await home.registry.aliases.create("f", "tip", LATEST)
        assert home.registry.resolve("f", "tip") == home.registry.resolve("f")

    async def second(home: House) -> None:
        assert home.registry.get("f", "live").version == "2"
        assert home.registry.aliases.get("f", "live").description == "d"
        old = home.registry.aliases.get("f", "live")
        await home.registry.aliases.delete("f", "live")
        assert home.listener.of_aliases == [(old, None)]
        await home.registry.aliases.delete("f", "live")  # gone: no error

    async def third(home: House) -> None:
        assert [alias.name for alias in home.registry.aliases.list("f").aliases] == ["tip"]

    run(tmp_path, first)
    run(tmp_path, second)
    run(tmp_path, third)


def test_the_draw_decides(tmp_path: Path) -> None:
    drawn = iter([0.0, 0.099, 0.1, 0.999])

    async def check(home: House) -> None:
        await three(home)
        await home.registry.aliases.create("f", "live", "1", routing={"2": 0.1})
        found = [home.registry.resolve("f", "live").version for _ in range(4)]
        assert found == ["2", "2", "1", "1"]
        # Without weights nothing is drawn.
        await home.registry.aliases.update("f", "live", routing={})
        assert home.registry.resolve("f", "live").version == "1"
        assert home.registry.aliases.get("f", "live").additional is None

    run(tmp_path, check, draw=lambda: next(drawn))


@pytest.mark.parametrize(("weight", "version"), [(0.0, "1"), (1.0, "2")])
def test_all_or_nothing(tmp_path: Path, weight: float, version: str) -> None:
    async def check(home: House) -> None:
        await three(home)
        await home.registry.aliases.create("f", "live", "1", routing={"2": weight})
        assert {home.registry.resolve("f", "live").version for _ in range(50)} == {version}

    run(tmp_path, check)


REFUSED: list[tuple[str, str, Mapping[str, float] | None, AwsError, str]] = [
    (
        "12",
        "1",
        None,
        AWS.VALIDATION,
        BROKEN.format("12", "name")
        + " satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
    ),
    (
        "a" * 129,
        "1",
        None,
        AWS.VALIDATION,
        BROKEN.format("a" * 129, "name") + " have length less than or equal to 128",
    ),
    (
        "live",
        "x",
        None,
        AWS.VALIDATION,
        BROKEN.format("x", "functionVersion")
        + r" satisfy regular expression pattern: (\$LATEST(\.PUBLISHED)?|[0-9]+)",
    ),
    ("live", "10", None, AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}:10"),
    ("live", "1", {"10": 0.5}, AWS.RESOURCE_NOT_FOUND, f"Function not found: {ARN}:10"),
    ("taken", "1", None, AWS.RESOURCE_CONFLICT, f"Alias already exists: {ARN}:taken"),
    ("live", LATEST, {"1": 0.5}, AWS.INVALID_PARAMETER, NOT_LATEST),
    ("live", "1", {LATEST: 0.5}, AWS.INVALID_PARAMETER, NOT_LATEST),
    (
        "live",
        "1",
        {"1": 0.5},
        AWS.INVALID_PARAMETER,
        "Invalid function version 1. Function version 1 is already included in routing "
        "configuration.",
    ),
    (
        "live",
        "1",
        {"2": 0.5, "3": 0.1},
        AWS.INVALID_PARAMETER,
        "Number of items in AdditionalVersionWeights cannot be greater than 1",
    ),
    (
        "live",
        "1",
        {"2": 1.5},
        AWS.VALIDATION,
        BROKEN.format("1.5", "routingConfig.additionalVersionWeights.2.member")
        + " have value less than or equal to 1",
    ),
    (
        "live",
        "1",
        {"2": -0.5},
        AWS.VALIDATION,
        BROKEN.format("-0.5", "routingConfig.additionalVersionWeights.2.member")
        + " have value greater than or equal to 0",
    ),
]


def test_what_can_not_be_created(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await three(home)
        await home.registry.aliases.create("f", "taken", "1")
        for name, version, routing, error, message in REFUSED:
            await refused(
                home.registry.aliases.create("f", name, version, routing=routing), error, message
            )
        with pytest.raises(ClientError, match="length less than or equal to 256"):
            await home.registry.aliases.create("f", "live", "1", description="x" * 257)
        with pytest.raises(ClientError, match="Map keys must satisfy constraint"):
            await home.registry.aliases.create("f", "live", "1", routing={"live": 0.5})
        assert [alias.name for alias in home.registry.aliases.list("f").aliases] == ["taken"]

    run(tmp_path, check)


def test_what_can_not_be_changed(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        aliases = home.registry.aliases
        gone = f"Function not found: {ARN}"
        await refused(aliases.update("f", "live"), AWS.RESOURCE_NOT_FOUND, gone)
        await refused(aliases.delete("f", "live"), AWS.RESOURCE_NOT_FOUND, gone)
        await three(home)
        await refused(
            aliases.update("f", "live"), AWS.RESOURCE_NOT_FOUND, f"Alias not found: {ARN}:live"
        )
        with pytest.raises(ClientError) as caught:
            aliases.get("f", "live")
        assert caught.value.message == f"Cannot find alias arn: {ARN}:live"
        await aliases.create("f", "live", "1", routing={"2": 0.25})
        await refused(
            aliases.update("f", "live", revision_id="other"),
            AWS.PRECONDITION_FAILED,
            "The Revision Id provided does not match the latest Revision Id. Call the "
            "GetFunction/GetAlias API to retrieve the latest Revision Id",
        )
        # What is there already counts, too.
        await refused(
            aliases.update("f", "live", function_version="2"),
            AWS.INVALID_PARAMETER,
            "Invalid function version 2. Function version 2 is already included in routing "
            "configuration.",
        )
        await refused(
            aliases.update("f", "live", function_version=LATEST), AWS.INVALID_PARAMETER, NOT_LATEST
        )
        moved = await aliases.update("f", "live", function_version="3")
        assert (moved.function_version, moved.additional) == ("3", ("2", 0.25))

    run(tmp_path, check)


def test_lists(tmp_path: Path) -> None:
    async def check(home: House) -> None:
        await three(home)
        aliases = home.registry.aliases
        for name, version in (("d", "2"), ("a", "1"), ("c", LATEST)):
            await aliases.create("f", name, version)
        await aliases.create("f", "b", "3", routing={"2": 0.5})
        first = aliases.list("f", max_items=3)
        assert [alias.name for alias in first.aliases] == ["a", "b", "c"]
        (last,) = aliases.list("f", marker=first.next_marker).aliases
        assert last.name == "d"
        assert [alias.name for alias in aliases.list("f", "2").aliases] == ["b", "d"]
        assert aliases.list("f", "99").aliases == ()

    run(tmp_path, check)
