"""Pages of functions, their tags, and who is told of changes."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.unit.registry.house import PREFIX, House, Listener, new, refused, run
from tests.unit.registry.zips import handler_zip

from samovar.errors import AWS, ClientError


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
            registry.tags_of(arn.replace("function:f", "capacity-provider:x"))
        assert caught.value.error is AWS.NOT_CARRIED_OUT

    run(tmp_path, check)

    async def still_there(home: House) -> None:
        assert len(home.registry.tags_of(arn)) == 50

    run(tmp_path, still_there)


def test_a_listener_that_fails_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class Failing(Listener):
        def function_changed(self, old: object, new: object) -> None:
            raise ZeroDivisionError

        def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
            raise ZeroDivisionError

    async def check(home: House) -> None:
        unsubscribe = home.registry.subscribe(Failing())
        later: list[object] = []

        class Later(Listener):
            def function_changed(self, old: object, new: object) -> None:
                later.append(new)

            def concurrency_changed(self, function_arn: str, reserved: int | None) -> None:
                later.append(reserved)

        home.registry.subscribe(Later())
        active = await home.active()
        await home.registry.concurrency.put("f", None, 3)
        assert later == [active, 3]
        unsubscribe()
        caplog.clear()
        await home.active("g")
        assert "listener" not in caplog.text

    run(tmp_path, check)
