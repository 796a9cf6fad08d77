"""Packages that mean harm or are broken, sent with boto3: refused in time, and nothing stays."""

from __future__ import annotations

import asyncio
import io
import json
import os
import stat
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ROLE, House, RawClient, package, request, run
from tests.api.served import Serve, ServedHouse
from tests.unit.registry.zips import entry, handler_zip, link, make_zip, zip_of

COULD_NOT = "Could not unzip uploaded file. Please check your file, then try to upload again."
TOO_LARGE = "Unzipped size must be smaller than 262144000 bytes"
_MB = 1024 * 1024


def create(code: bytes) -> dict[str, Any]:
    return {
        "FunctionName": "g",
        "Runtime": "python3.12",
        "Role": ROLE,
        "Handler": "app.handler",
        "Code": {"ZipFile": code},
    }


def kept(data_dir: Path) -> set[str]:
    """Everything below the data directory but the database's own side files."""
    return {
        str(path.relative_to(data_dir))
        for path in data_dir.rglob("*")
        if not path.name.endswith(("-wal", "-shm", "-journal"))
    }


async def refused(it: House, tmp_path: Path, code: bytes, message: str, status: int = 400) -> None:
    """Both operations that take code refuse it in the same words, and leave no trace."""
    await it.active()
    before = await asyncio.to_thread(kept, tmp_path)
    error = "InvalidParameterValueException" if status == 400 else "RequestEntityTooLargeException"
    expected = (status, error, message)
    assert await it.refused("create_function", **create(code)) == expected
    assert await it.refused("update_function_code", FunctionName="f", ZipFile=code) == expected
    dry = await it.refused("update_function_code", FunctionName="f", ZipFile=code, DryRun=True)
    assert dry == expected
    assert (await it.refused("get_function", FunctionName="g"))[0] == 404
    assert await asyncio.to_thread(kept, tmp_path) == before


def encrypted() -> bytes:
    data = bytearray(handler_zip())
    for signature, flags in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(signature) + flags] |= 1
    return bytes(data)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: b"no zip", ""),
        (lambda: handler_zip()[:-30], ""),
        (lambda: make_zip({"../out.py": ""}), "the name '../out.py' leads out of the package"),
        (lambda: make_zip({"a/../../out.py": ""}), "the name 'a/../../out.py' leads out of the "),
        (lambda: make_zip({"/etc/passwd": ""}), "the name '/etc/passwd' is absolute"),
        (
            lambda: zip_of(link("out", "../../..")),
            "the link 'out' leads out of the package, to '../../..'",
        ),
        (
            lambda: zip_of(link("out", "/etc")),
            "the link 'out' leads out of the package, to '/etc'",
        ),
        (
            lambda: zip_of(link("a/b/up", "../.."), link("out", "a/b/up/..")),
            "the link 'out' leads out of the package",
        ),
        (
            lambda: zip_of(link("d", "."), (entry("d/app.py"), b"")),
            "'d' is a file or a link, and 'd/app.py' lies below it",
        ),
        (
            lambda: zip_of((entry("app.py"), b"1"), (entry("app.py"), b"2")),
            "the name 'app.py' occurs twice",
        ),
        (encrypted, "'app.py' is encrypted"),
        (
            lambda: make_zip({"app.py": "x" * 99}, zipfile.ZIP_BZIP2),
            "'app.py' is neither stored nor deflated (method 12)",
        ),
        (
            lambda: zip_of((entry("pipe", stat.S_IFIFO | 0o644), b"")),
            "'pipe' is neither a file, a directory nor a symbolic link",
        ),
    ],
    ids=lambda value: value[:40] if isinstance(value, str) else "",
)
def test_what_is_no_package(tmp_path: Path, make: Any, reason: str) -> None:
    code = make()

    async def scene(it: House) -> None:
        found = await it.refused("create_function", **create(code))
        assert found[2].startswith(f"{COULD_NOT} Reason: {reason}" if reason else COULD_NOT)
        await refused(it, tmp_path, code, found[2])
        assert found[2] == COULD_NOT or found[2].endswith(".")

    run(tmp_path, scene)


@pytest.mark.parametrize("code", [b"", make_zip({})], ids=["no bytes", "no entries"])
def test_a_package_of_nothing(tmp_path: Path, code: bytes) -> None:
    async def scene(it: House) -> None:
        await refused(it, tmp_path, code, "Uploaded file must be a non-empty zip")

    run(tmp_path, scene)


def test_a_bomb_takes_neither_memory_nor_disk(tmp_path: Path) -> None:
    """250 MB and a byte of zeros in 256 KB; its headers say that it is small."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, size in (("app.py", 1), ("zeros", 250 * _MB)):
            with archive.open(name, "w") as stream:
                for _ in range(size // _MB):
                    stream.write(bytes(_MB))
                stream.write(bytes(size % _MB))
    code = buffer.getvalue()
    assert len(code) < 300_000

    async def scene(it: House) -> None:
        tracemalloc.start()
        try:
            assert (await it.refused("create_function", **create(code)))[2] == TOO_LARGE
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # The request, in base64 and out of it, and one chunk: not what it unpacks to.
        assert peak < 16 * _MB
        assert not any(await asyncio.to_thread(list, (tmp_path / "code" / "tmp").iterdir()))

    run(tmp_path, scene)


def test_the_largest_package_of_a_request_and_one_byte_more(tmp_path: Path) -> None:
    limit = 52428800
    empty = len(make_zip({"blob": b""}, zipfile.ZIP_STORED))
    largest = make_zip({"blob": os.urandom(limit - empty)}, zipfile.ZIP_STORED)
    assert len(largest) == limit

    async def scene(it: House) -> None:
        await it.active()
        updated = await it.call("update_function_code", FunctionName="f", ZipFile=largest)
        assert updated["CodeSize"] == limit
        await it.engine.registry.wait_settled("f")
        assert await it.refused(
            "update_function_code", FunctionName="f", ZipFile=largest + b"x"
        ) == (
            413,
            "RequestEntityTooLargeException",
            "Zipped size must be smaller than 52428800 bytes",
        )
        async with RawClient.to(it.port) as client:
            for method, path, operation in (
                ("POST", "/2015-03-31/functions", "CreateFunction"),
                ("PUT", "/2015-03-31/functions/f/code", "UpdateFunctionCode"),
            ):
                await client.send(request(method, path, b" " * 70167212))
                reply = await client.reply()
                assert reply.status == 413
                assert reply.headers["x-amzn-errortype"] == "RequestEntityTooLargeException"
                assert reply.json == {
                    "message": "Request must be smaller than 70167211 bytes for the "
                    f"{operation} operation"
                }

    run(tmp_path, scene)


def test_unusual_zips_that_are_packages(serve: Serve) -> None:
    """zip64 records, data before the zip, no compression, a comment, entries for directories."""
    source = "from lib.deep import word\ndef handler(event, context):\n    return word\n"
    files = {"app.py": source, "lib/": "", "lib/deep.py": "word = 'found'\n"}
    large = io.BytesIO()
    with zipfile.ZipFile(large, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            if not name.endswith("/"):
                with archive.open(name, "w", force_zip64=True) as stream:
                    stream.write(text.encode())
    commented = io.BytesIO(make_zip(dict(files)))
    with zipfile.ZipFile(commented, "a") as archive:
        archive.comment = b"made by hand"
    packages = [
        large.getvalue(),
        commented.getvalue(),
        b"#!/bin/sh\n" + make_zip(dict(files)),
        make_zip(dict(files), zipfile.ZIP_STORED),
    ]

    async def scene(it: ServedHouse) -> None:
        for at, code in enumerate(packages):
            await it.active(f"f{at}", Code={"ZipFile": code})
            found = await it.call("invoke", FunctionName=f"f{at}")
            assert json.loads(found["Payload"].read()) == "found"

    serve(scene)


def test_handlers_that_no_package_has_are_taken_and_fail_when_invoked(serve: Serve) -> None:
    """As with AWS: only the init looks for the handler."""

    async def scene(it: ServedHouse) -> None:
        await it.active(Code={"ZipFile": package("def handler(:\n")})
        for handler, error, message in (
            ("nodot", "Runtime.MalformedHandlerName", "Bad handler 'nodot': "),
            ("gone.handler", "Runtime.ImportModuleError", "Unable to import module 'gone': "),
            ("app.handler", "Runtime.UserCodeSyntaxError", "Syntax error in module 'app': "),
            ("a" * 126 + ".b", "Runtime.ImportModuleError", "Unable to import module 'aaa"),
        ):
            await it.call("update_function_configuration", FunctionName="f", Handler=handler)
            await it.engine.registry.wait_settled("f")
            found = await it.call("invoke", FunctionName="f")
            told = json.loads(found["Payload"].read())
            assert (found["StatusCode"], found["FunctionError"]) == (200, "Unhandled")
            assert told["errorType"] == error, told
            assert told["errorMessage"].startswith(message)

    serve(scene)
