"""Hot reload over the API, as LocalStack's users know it: the bucket `hot-reload`."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

import pytest
from tests.api.house import ROLE
from tests.api.served import RUNTIME, Serve, ServedHouse

SOURCE = "def handler(event, context):\n    return {!r}\n"
BUCKET = {"S3Bucket": "hot-reload"}


@pytest.fixture
def code(tmp_path: Path) -> Path:
    directory = tmp_path / "projects" / "code"
    directory.mkdir(parents=True)
    (directory / "app.py").write_text(SOURCE.format("first"))
    return directory


async def says(it: ServedHouse) -> Any:
    found = await it.call("invoke", FunctionName="f")
    told = json.loads(found["Payload"].read())
    assert "FunctionError" not in found, told
    return told


async def until(it: ServedHouse, word: str) -> None:
    said = None
    async with asyncio.timeout(20):
        while said != word:
            said = await says(it)
            await asyncio.sleep(0.01)


async def refusal(it: ServedHouse, code: dict[str, str]) -> tuple[int, str, str]:
    """What CreateFunction says to this code."""
    return await it.refused(
        "create_function",
        FunctionName="f",
        Runtime=RUNTIME,
        Role=ROLE,
        Handler="app.handler",
        Code=code,
    )


def test_a_directory_is_deployed_and_followed(serve: Serve, code: Path) -> None:
    place = {**BUCKET, "S3Key": str(code)}

    async def scene(it: ServedHouse) -> None:
        created = await it.create(Code=place, Handler="app.handler")
        assert created["CodeSize"] == len(SOURCE.format("first"))
        await it.engine.registry.wait_settled("f")
        assert await says(it) == "first"
        before = await it.call("get_function_configuration", FunctionName="f")
        (code / "app.py").write_text(SOURCE.format("second"))
        await until(it, "second")
        found = await it.call("get_function", FunctionName="f")
        after = found["Configuration"]
        for name in ("CodeSha256", "RevisionId", "LastModified", "CodeSize"):
            assert after[name] != before[name], name
        assert (after["State"], after["LastUpdateStatus"]) == ("Active", "Successful")

        # There is no zip; the link gives one of what runs now.
        def download() -> dict[str, bytes]:
            with urllib.request.urlopen(found["Code"]["Location"]) as reply:
                archive = zipfile.ZipFile(io.BytesIO(reply.read()))
                return {name: archive.read(name) for name in archive.namelist()}

        assert await asyncio.to_thread(download) == {"app.py": SOURCE.format("second").encode()}

        shutil.rmtree(code)
        async with asyncio.timeout(20):
            while after["LastUpdateStatus"] != "Failed":
                after = await it.call("get_function_configuration", FunctionName="f")
        assert after["LastUpdateStatusReason"].startswith(f"the directory {code} is not there; ")
        assert after["LastUpdateStatusReasonCode"] == "InvalidConfiguration"
        assert await says(it) == "second"

    serve(scene, hot_reload_roots=(str(code.parent),))


def test_a_function_becomes_live_by_an_update(serve: Serve, code: Path) -> None:
    place = {**BUCKET, "S3Key": f"{code.parent}/../projects/code/"}

    async def scene(it: ServedHouse) -> None:
        created = await it.create(Handler="app.handler")
        await it.engine.registry.wait_settled("f")
        dry = await it.call("update_function_code", FunctionName="f", DryRun=True, **place)
        assert dry["CodeSize"] == len(SOURCE.format("first"))
        now = await it.call("get_function_configuration", FunctionName="f")
        assert now["CodeSha256"] == created["CodeSha256"]
        await it.call("update_function_code", FunctionName="f", **place)
        await it.engine.registry.wait_settled("f")
        assert await says(it) == "first"
        (code / "app.py").write_text(SOURCE.format("second"))
        await until(it, "second")

    serve(scene, hot_reload_roots=(code,))


def test_what_may_not_or_cannot_be_deployed(serve: Serve, code: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (code / "way").symlink_to(outside)

    async def scene(it: ServedHouse) -> None:
        for key, said in (
            (str(outside), "is not allowed by this engine"),
            (str(code / "way"), "is not allowed by this engine"),
            (f"{code}/../../outside", "is not allowed by this engine"),
            ("/etc", "is not allowed by this engine"),
            # It is not told what there is, and what not.
            (str(tmp_path / "nothing"), "is not allowed by this engine"),
            (f"{code.parent}-not", "is not allowed by this engine"),
            ("projects/code", "is not absolute"),
            ("~/code", "is not absolute"),
            (str(code / "app.py"), "is a file: hot reload takes the directory it is in."),
            (str(code / "nothing"), "There is no directory "),
        ):
            refused = await refusal(it, {**BUCKET, "S3Key": key})
            assert refused[:2] == (400, "InvalidParameterValueException"), key
            assert said in refused[2], key
        refused = await refusal(it, {**BUCKET, "S3Key": str(code), "S3ObjectVersion": "1"})
        assert "leave S3ObjectVersion out" in refused[2]
        assert (await it.call("list_functions"))["Functions"] == []

    serve(scene, hot_reload_roots=(code.parent,))


def test_it_is_off_unless_the_settings_say_so(serve: Serve, code: Path) -> None:
    async def scene(it: ServedHouse) -> None:
        refused = await refusal(it, {**BUCKET, "S3Key": str(code)})
        assert refused[:2] == (400, "InvalidParameterValueException")
        assert "Allowed are directories within: none." in refused[2]
        assert "--hot-reload-roots (or SAMOVAR_HOT_RELOAD_ROOTS)" in refused[2]

    serve(scene)
