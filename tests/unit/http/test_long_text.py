"""Long strings taken out of JSON, and what is left: the same as when they had stayed."""

from __future__ import annotations

import asyncio
import base64
import json
import random
from typing import Any

import pytest
from tests.unit.http.test_parsing import parse

from samovar.doors.http import long_text
from samovar.doors.http.long_text import LONG, LongText, parse_long
from samovar.doors.http.room import Room
from samovar.errors import ClientError

CODE = random.Random(1).randbytes(3 * LONG + 1)
TEXT = base64.b64encode(CODE).decode()
LIMIT = 6291456


def whole(value: Any) -> Any:
    """`value` as JSON's own parser would have given it."""
    if isinstance(value, LongText):
        return value.text()
    if isinstance(value, list):
        return [whole(item) for item in value]
    if isinstance(value, dict):
        return {key: whole(item) for key, item in value.items()}
    return value


def text(document: Any, **how: Any) -> bytes:
    return json.dumps(document, **how).encode()


@pytest.mark.parametrize(
    "body",
    [
        text({"Code": {"ZipFile": TEXT}, "Tags": {"a": "b"}}),
        text([TEXT, 'a "quoted" \\', "\\" * 7, TEXT[:LONG], TEXT[: LONG - 1], {TEXT: TEXT}]),
        text({"a": TEXT + "\\n", "b": '"' * LONG, "c": "\\" * LONG, "d": TEXT}, indent=1),
        text({"a": "é" * LONG, "b": TEXT}, ensure_ascii=False),
        text({"a": TEXT, "b": "é"}).decode().encode("utf-16"),
        text({"a": TEXT, "b": "é"}).decode().encode("utf-32-be"),
        b"\xef\xbb\xbf" + text({"a": TEXT}),
        text(TEXT),
        b" " * LONG + b"{}",
    ],
    ids=[f"body-{at}" for at in range(9)],
)
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_it_is_the_same_document(body: bytes, kind: type[bytes] | type[bytearray]) -> None:
    assert whole(parse_long(kind(body), json.loads, LIMIT)) == json.loads(body)


@pytest.mark.parametrize(
    "body",
    [b'{"a": "' + TEXT.encode(), text({"a": TEXT})[:-1], text({"a": TEXT}) + b"}", b'"' * LONG],
    ids=["open string", "open object", "more", "quotes"],
)
def test_what_is_no_json_is_none(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"Unterminated|Expecting|Extra data"):
        parse_long(body, json.loads, LIMIT)


def test_control_characters_stay_forbidden() -> None:
    document = parse_long(b'["' + TEXT.encode() + b'\n"]', json.loads, LIMIT)
    with pytest.raises(ValueError, match="Invalid control character"):
        document[0].text()


@pytest.mark.parametrize(
    "body", [b" " * 1001, b'["",' * 1001, b'"' + b"\\" * 1001], ids=["blanks", "strings", "open"]
)
def test_only_long_strings_may_be_much(body: bytes) -> None:
    with pytest.raises(OverflowError):
        parse_long(body, json.loads, 1000)


@pytest.mark.parametrize("size", [LONG, LONG + 1, LONG + 2, 3 * LONG // 4, 2 * LONG])
def test_code_is_decoded(size: int) -> None:
    code = CODE[:size]
    body = {"FunctionName": "f", "Code": {"ZipFile": base64.b64encode(code).decode()}}
    assert parse("CreateFunction", body)["Code"] == {"ZipFile": code}


@pytest.mark.parametrize(
    "spoilt",
    [
        TEXT[:-1],
        TEXT[: LONG - 4] + "AA==" + TEXT[LONG:],
        TEXT[:LONG] + "====" + TEXT[LONG:],
        TEXT[:100] + "é" + TEXT[101:],
        TEXT[:100] + " " + TEXT[101:],
    ],
    ids=["cut", "padding at a seam", "padding only", "letter", "blank"],
)
def test_code_that_is_no_base64(spoilt: str) -> None:
    with pytest.raises(ClientError, match=r"Code.ZipFile is not base64") as caught:
        parse("CreateFunction", text({"Code": {"ZipFile": spoilt}}, ensure_ascii=False))
    assert caught.value.error.code == "SerializationException"


def test_long_strings_elsewhere_are_strings_or_wrong() -> None:
    assert parse("CreateFunction", {"Description": TEXT})["Description"] == TEXT
    with pytest.raises(ClientError, match="STRING_VALUE can not be converted to an Integer"):
        parse("CreateFunction", {"Timeout": TEXT})
    with pytest.raises(ClientError, match=f"parameter {TEXT[:20]}"):
        parse("CreateFunction", {TEXT: TEXT})


def test_more_than_code_is_too_large() -> None:
    with pytest.raises(ClientError, match="not counting the code in it") as caught:
        parse("CreateFunction", {"Layers": ["a"] * (LIMIT // 4)})
    assert caught.value.error.status == 413


def test_no_call_takes_more_than_a_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """What holds the interpreter's lock for long would stop the loop from its thread."""
    decode = long_text.binascii.a2b_base64
    sizes = []

    def decoded(piece: memoryview, *, strict_mode: bool) -> bytes:
        sizes.append(len(piece))
        return decode(piece, strict_mode=strict_mode)

    monkeypatch.setattr(long_text.binascii, "a2b_base64", decoded)
    assert parse("CreateFunction", {"Code": {"ZipFile": TEXT}})["Code"]["ZipFile"] == CODE
    assert sizes
    assert max(sizes) <= LONG


def test_two_are_in_work_and_all_have_so_many_bytes() -> None:
    async def scene() -> None:
        room = Room(100)
        entered: list[int] = []
        go = asyncio.Event()

        async def visit(number: int) -> None:
            async with room.place(30):
                entered.append(number)
                await go.wait()

        visits = [asyncio.ensure_future(visit(number)) for number in range(3)]
        for _ in range(5):
            await asyncio.sleep(0)
        assert entered == [0, 1]
        with pytest.raises(ClientError, match="has 90 bytes of large requests") as caught:
            await visit(3)
        assert caught.value.error.status == 503
        visits[2].cancel()  # who waits and gives up leaves no place taken
        await asyncio.wait(visits[2:])
        last = asyncio.ensure_future(visit(4))
        go.set()
        await asyncio.gather(*visits[:2], last)
        assert entered == [0, 1, 4]

    asyncio.run(scene())
