"""Code from directories, modules and S3 (a small HTTP server, asked by the real boto3)."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
from tests.unit.registry.house import House, configuration, house, new
from tests.unit.registry.zips import handler_zip

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.registry.functions import Directory, Module, NewFunction, S3Object

RUNNING = f"python{sys.version_info.major}.{sys.version_info.minor}"


def run(data_dir: Path, check: Callable[[House], Awaitable[None]], **settings: str) -> None:
    async def opened() -> None:
        async with house(data_dir, **settings) as home:
            await check(home)

    asyncio.run(opened())


class Bucket(ThreadingHTTPServer):
    """As much of S3 as a GetObject sees."""

    daemon_threads = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.objects: dict[tuple[str, str | None], bytes] = {}
        self.authorizations: list[str | None] = []
        self.cut_short = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Answer(BaseHTTPRequestHandler):
    """One request."""

    server: Bucket

    def do_GET(self) -> None:
        self.server.authorizations.append(self.headers.get("Authorization"))
        parts = urlsplit(self.path)
        version = parse_qs(parts.query).get("versionId", [None])[0]
        content = self.server.objects.get((parts.path, version))
        if content is None:
            self.send_response(404)
            content = (
                b"<?xml version='1.0'?><Error><Code>NoSuchKey</Code>"
                b"<Message>The specified key does not exist.</Message></Error>"
            )
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[:10] if self.server.cut_short else content)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Bucket]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with Bucket() as server:
        # Nobody may ask it for credentials: that would be a request too many.
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.url)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_a_package_from_s3(tmp_path: Path, bucket: Bucket) -> None:
    bucket.objects["/my-bucket/path/to/code.zip", None] = handler_zip()
    other = handler_zip("# another\n")
    bucket.objects["/my-bucket/path/to/code.zip", "v2"] = other

    async def check(home: House) -> None:
        created = await home.active(source=S3Object("my-bucket", "path/to/code.zip"))
        assert await home.registry.read_package(created.code) == handler_zip()
        await home.registry.update_code("f", S3Object("my-bucket", "path/to/code.zip", "v2"))
        updated = await home.registry.wait_settled("f")
        assert await home.registry.read_package(updated.code) == other
        # There are no credentials to sign with; emulators ask for a signature, and take any.
        assert ["Credential=samovar/" in str(sent) for sent in bucket.authorizations] == [True] * 2

    run(tmp_path, check, aws_endpoint=bucket.url)
    assert list((tmp_path / "code" / "tmp").iterdir()) == []


def test_credentials_are_used_if_there_are_any(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.objects["/my-bucket/k", None] = handler_zip()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")

    async def check(home: House) -> None:
        await home.active(source=S3Object("my-bucket", "k"))
        (signature,) = bucket.authorizations
        assert signature is not None
        assert "Credential=AKIDEXAMPLE/" in signature
        assert "/us-east-1/s3/" in signature

    run(tmp_path, check, aws_endpoint=bucket.url)


def test_an_object_that_is_not_there(tmp_path: Path, bucket: Bucket) -> None:
    async def check(home: House) -> None:
        with pytest.raises(ClientError) as caught:
            await home.registry.create(new(source=S3Object("my-bucket", "nope")))
        assert caught.value.error is AWS.INVALID_PARAMETER
        assert caught.value.message == (
            "Error occurred while GetObject. S3 Error Code: NoSuchKey. "
            "S3 Error Message: The specified key does not exist."
        )

    run(tmp_path, check, aws_endpoint=bucket.url)


def test_a_bucket_that_can_not_exist(tmp_path: Path, bucket: Bucket) -> None:
    async def check(home: House) -> None:
        with pytest.raises(ClientError, match="Invalid bucket name"):
            await home.registry.create(new(source=S3Object("a bucket", "k")))

    run(tmp_path, check, aws_endpoint=bucket.url)


def test_an_object_that_is_no_zip_or_too_large(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.objects["/my-bucket/k", None] = b"x" * 1001

    async def check(home: House) -> None:
        with pytest.raises(ClientError, match="Could not unzip"):
            await home.registry.create(new(source=S3Object("my-bucket", "k")))
        monkeypatch.setattr(limits, "UNZIPPED_SIZE", 1000)
        with pytest.raises(ClientError, match="Unzipped size must be smaller"):
            await home.registry.create(new(source=S3Object("my-bucket", "k")))

    run(tmp_path, check, aws_endpoint=bucket.url)
    assert list((tmp_path / "code" / "tmp").iterdir()) == []


def test_s3_that_breaks_off_or_can_not_be_reached(tmp_path: Path, bucket: Bucket) -> None:
    bucket.objects["/my-bucket/k", None] = handler_zip()
    bucket.cut_short = True

    async def check(home: House) -> None:
        with pytest.raises(ClientError) as caught:
            await home.registry.create(new(source=S3Object("my-bucket", "k")))
        assert caught.value.error is AWS.INVALID_PARAMETER
        assert caught.value.message.startswith(
            "Error occurred while GetObject. The package s3://my-bucket/k could not be fetched "
        )
        assert caught.value.message.endswith("Is S3 served there? See --aws-endpoint.")

    run(tmp_path, check, aws_endpoint=bucket.url)
    run(tmp_path, check, aws_endpoint="http://127.0.0.1:1")
    assert list((tmp_path / "code" / "tmp").iterdir()) == []


def test_without_an_endpoint_nobody_is_asked(tmp_path: Path, bucket: Bucket) -> None:
    async def check(home: House) -> None:
        with pytest.raises(ClientError) as caught:
            await home.registry.create(new(source=S3Object("my-bucket", "k")))
        assert caught.value.error is AWS.INVALID_PARAMETER
        assert caught.value.message == (
            "Error occurred while GetObject. Samovar knows no S3 that could have s3://my-bucket/k: "
            "start it with --aws-endpoint (or SAMOVAR_AWS_ENDPOINT) and the URL of one, or send "
            "the package as ZipFile."
        )

    run(tmp_path, check)


def test_a_proxy_does_not_stand_before_a_neighbour_on_this_machine(
    tmp_path: Path, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    bucket.objects["/my-bucket/k", None] = handler_zip()
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)

    async def check(home: House) -> None:
        await home.active(source=S3Object("my-bucket", "k"))

    run(tmp_path, check, aws_endpoint=bucket.url)


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "app.py").write_text("import boto3\n")

    async def check(home: House) -> None:
        active = await home.active(source=Directory(tmp_path / "source"))
        assert active.code.preload == "boto3"
        assert active.code.import_paths == ()
        tree = (await home.registry.ensure_extracted(active)).path
        assert (tree / "app.py").read_text() == "import boto3\n"
        (tmp_path / "source" / "app.py").write_text("changed\n")
        assert (tree / "app.py").read_text() == "import boto3\n"

    run(tmp_path / "data", check)


def test_a_directory_with_a_link_that_leads_out(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "app.py").symlink_to("../elsewhere.py")

    async def check(home: House) -> None:
        with pytest.raises(ClientError, match=r"the link 'app\.py' leads out of the package"):
            await home.registry.create(new(source=Directory(tmp_path / "source")))

    run(tmp_path / "data", check)


def test_a_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sv_module.py").write_text("def handle(event, context): return event\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    source = Module("sv_module:handle")

    async def check(home: House) -> None:
        blank = configuration(handler="", runtime="")
        await home.registry.create(NewFunction("f", blank, source))
        active = await home.registry.wait_settled("f")
        assert active.configuration.handler == "sv_module.handle"
        assert active.configuration.runtime == RUNNING
        assert str(tmp_path) in active.code.import_paths
        with pytest.raises(ClientError, match=r"The handler 'app\.handler' is not the module's"):
            await home.registry.create(NewFunction("g", configuration(runtime=""), source))
        with pytest.raises(ClientError, match="Runtime and Handler are mandatory"):
            await home.registry.create(new("g", handler=""))

    run(tmp_path / "data", check)


def test_the_same_module_again_is_the_same_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sv_module.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))

    async def check(home: House) -> None:
        first = await home.active(handler="", runtime="", source=Module("sv_module:one"))
        second = await home.active("g", handler="", runtime="", source=Module("sv_module:two"))
        assert first.code == second.code
        assert second.configuration.handler == "sv_module.two"

    run(tmp_path / "data", check)
