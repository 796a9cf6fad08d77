"""The command line's pure parts."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field, replace
from io import BytesIO, StringIO
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError as RefusedByApi
from botocore.exceptions import EndpointConnectionError, ParamValidationError
from rich.console import Console

from samovar.doors.cli.demo import package, tables
from samovar.doors.cli.demo.calls import Call
from samovar.doors.cli.doctor import access, disk, host, inside
from samovar.doors.cli.doctor.facts import Fact, Verdict
from samovar.doors.cli.doctor.trial import Trial
from samovar.doors.cli.exits import Exit, Failure, failures, refused
from samovar.doors.cli.headers import read_details
from samovar.doors.cli.percentiles import percentile
from samovar.doors.cli.remote import endpoint_of, lambda_client
from samovar.doors.cli.report import start_line_json, start_text
from samovar.errors import AWS, ClientError, DataDirectoryInUse, EngineError, SettingsError
from samovar.settings import Isolation, Settings

# exits


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (SettingsError("port: no"), Exit.SETTINGS, "port: no"),
        (DataDirectoryInUse("held"), Exit.DATA_DIRECTORY_IN_USE, "held"),
        (ClientError(AWS.VALIDATION, "wrong"), Exit.ENGINE, "wrong"),
        (EngineError("broke"), Exit.ENGINE, "broke"),
        (RefusedByApi({"Error": {"Code": "C", "Message": "m"}}, "Invoke"), Exit.REFUSED, "C: m"),
        (
            RefusedByApi({"Error": {"Code": "ResourceNotFoundException"}}, "Invoke"),
            Exit.REFUSED,
            "samovar functions",
        ),
        (ParamValidationError(report="a name is short"), Exit.USAGE, "a name is short"),
        (EndpointConnectionError(endpoint_url="http://e"), Exit.UNREACHABLE, "samovar start"),
    ],
)
def test_what_was_raised_becomes_an_exit_code_and_a_message(
    error: Exception, code: Exit, said: str
) -> None:
    with pytest.raises(Failure) as raised, failures("http://e"):
        raise error
    assert raised.value.exit_code == code
    assert said in raised.value.message


@pytest.mark.parametrize(
    ("code", "message", "reason", "advice"),
    [
        (
            "ResourceConflictException",
            "The operation cannot be performed at this time. An update is in progress for …",
            "",
            "try again in a moment",
        ),
        (
            "ResourceConflictException",
            "The operation cannot be performed at this time. The function is currently in the "
            "following state: Failed",
            "",
            "get-function-configuration",
        ),
        (
            "ResourceConflictException",
            "Unable to delete version because the following aliases reference it: [live]",
            "",
            "aws lambda update-alias",
        ),
        ("ResourceConflictException", "Function already exist: f", "", None),
        (
            "InvalidParameterValueException",
            "Deletion of aliases is not currently supported.",
            "",
            "aws lambda delete-alias",
        ),
        (
            "InvalidParameterValueException",
            "This operation is permitted on Lambda functions only. Aliases and versions do not …",
            "",
            "Leave the version or alias out of the name",
        ),
        (
            "TooManyRequestsException",
            "Rate Exceeded.",
            "ReservedFunctionConcurrentInvocationLimitExceeded",
            "--reserved N",
        ),
        (
            "TooManyRequestsException",
            "Rate Exceeded.",
            "ConcurrentInvocationLimitExceeded",
            "--account-concurrency",
        ),
        (
            "TooManyRequestsException",
            "Rate Exceeded. This engine: all 4 contexts are busy.",
            "ConcurrentInvocationLimitExceeded",
            "--max-contexts",
        ),
        (
            "TooManyRequestsException",
            "Rate Exceeded.",
            "FunctionInvocationRateLimitExceeded",
            "--request-rate",
        ),
    ],
    ids=[
        "updated",
        "failed",
        "aliases",
        "exists",
        "alias",
        "function only",
        "reserved",
        "account",
        "host",
        "rate",
    ],
)
def test_the_advice_is_for_what_was_refused(
    code: str, message: str, reason: str, advice: str | None
) -> None:
    response: Any = {"Error": {"Code": code, "Message": message}, "Reason": reason}
    told = refused(RefusedByApi(response, "Invoke")).message
    assert told.startswith(f"{code}: {message}")
    assert told.endswith(message) if advice is None else advice in told.splitlines()[1]


# remote


def test_the_endpoint_is_the_given_one_then_awss_variable_then_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("AWS_ENDPOINT_URL_LAMBDA", "SAMOVAR_PORT"):
        monkeypatch.delenv(name, raising=False)
    assert endpoint_of(None) == "http://127.0.0.1:4566"
    monkeypatch.setenv("SAMOVAR_PORT", "9000")
    assert endpoint_of(None) == "http://127.0.0.1:9000"
    monkeypatch.setenv("AWS_ENDPOINT_URL_LAMBDA", "http://there:1")
    assert endpoint_of(None) == "http://there:1"
    assert endpoint_of("https://here:2") == "https://here:2"


@pytest.mark.parametrize("text", ["127.0.0.1:4566", "ftp://host", "http://"])
def test_an_endpoint_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(Failure, match=r"write it like http://127\.0\.0\.1:4566"):
        endpoint_of(text)


@pytest.mark.parametrize("host_name", ["127.0.0.1", "[::1]", "localhost"])
@pytest.mark.parametrize("way", ["environment", "profile", "profile of the config file", "none"])
def test_an_engine_next_door_gets_the_keys_at_hand(
    host_name: str, way: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "keys").write_text(
        "[mine]\naws_access_key_id=AKID\naws_secret_access_key=x\naws_session_token=y\n"
    )
    (tmp_path / "config").write_text(
        # Nobody is asked over the network, and no program is run.
        "[default]\nrole_arn=arn:aws:iam::000000000000:role/r\nsource_profile=other\n"
        "credential_process=/bin/false\n[profile other]\nregion=eu-west-3\n"
        "aws_access_key_id=AKID\naws_secret_access_key=x\naws_session_token=y\n"
    )
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "keys"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    if way == "environment":
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKID")
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
        monkeypatch.setenv("AWS_SESSION_TOKEN", "y")
    elif way != "none":
        monkeypatch.setenv("AWS_PROFILE", "mine" if way == "profile" else "other")
    client = lambda_client(f"http://{host_name}:1")
    try:
        keys = client._request_signer._credentials
        found = (keys.access_key, keys.secret_key, keys.token)
        assert found == (("samovar", "samovar", None) if way == "none" else ("AKID", "x", "y"))
    finally:
        client.close()


# headers


def test_details_are_read_from_a_reply() -> None:
    headers = {
        "x-samovar-context": "7",
        "x-samovar-start": "cold",
        "x-samovar-phases": '{"init": 12.25, "handler": 3}',
    }
    details = read_details({"ResponseMetadata": {"HTTPHeaders": headers}})
    assert (details.context, details.start, details.phases["init"]) == ("7", "cold", 12.25)
    assert details.sentence() == "cold start, context 7: init 12.2 ms, handler 3.0 ms"


def test_another_emulators_reply_has_no_details() -> None:
    details = read_details({"ResponseMetadata": {"HTTPHeaders": {}}})
    assert "not Samovar" in details.sentence()


# report and doctor


@dataclass(frozen=True)
class Found:
    runtime: str = "python3.12"
    version: str = "3.12.1"
    executable: str = "/opt/python3.12"


@dataclass(frozen=True)
class Told:
    interpreters: tuple[Found, ...] = (Found(),)
    walls_held: tuple[str, ...] = ("pid namespace",)
    walls_missing: dict[str, str] = field(default_factory=lambda: {"private /tmp": "mount: EPERM"})


def test_the_start_up_lines_say_where_with_what_and_what_is_missing() -> None:
    settings = Settings(data_dir=Path("/data"))
    text = start_text(settings, "http://127.0.0.1:1", Told())
    assert "hot reload" not in text
    follows = replace(settings, hot_reload_roots=(Path("/a"), Path("/b")))
    assert "  hot reload    within /a, /b" in start_text(follows, "http://127.0.0.1:1", Told())
    assert text.splitlines()[0].endswith("listens on http://127.0.0.1:1")
    for said in ("/data", "python3.12 (3.12.1)", "pid namespace", "private /tmp: mount: EPERM"):
        assert said in text


def test_the_ready_line_for_programs_is_one_line_of_json() -> None:
    for given, said in (
        ({}, "the host's"),
        ({"offline_functions": ("a", "b")}, "the host's; none for a, b"),
        ({"network": "none"}, "none: each context has a loopback device of its own"),
    ):
        own = Settings(data_dir=Path("/data"), **given)  # type: ignore[arg-type]
        assert f"  network       {said}\n" in f"{start_text(own, 'http://x:1', Told())}\n"
    line = start_line_json(Settings(data_dir=Path("/data")), "http://127.0.0.1:1", Told())
    assert "\n" not in line
    document = json.loads(line)
    assert document["endpoint"] == "http://127.0.0.1:1"
    assert document["interpreters"] == {"python3.12": "3.12.1"}
    assert document["walls_missing"] == {"private /tmp": "mount: EPERM"}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({}, ""),
        (
            {"aws_endpoint": "http://a:1"},
            "http://a:1; with the rights of the engine (no sts is given)",
        ),
        (
            {"aws_endpoint": "http://a:1", "endpoints": {"sqs": "http://b:2", "sts": "http://c:3"}},
            "http://a:1, sqs http://b:2, sts http://c:3; with the rights of execution roles",
        ),
        (
            {"endpoints": {"sqs": "http://b:2"}},
            "sqs http://b:2; with the rights of the engine (no sts is given)",
        ),
    ],
    ids=["none", "one place", "with an sts", "one service"],
)
def test_it_says_where_neighbours_are_and_with_whose_rights_they_are_asked(
    given: dict[str, Any], said: str
) -> None:
    settings = Settings(data_dir=Path("/data"), **given)
    lines = start_text(settings, "http://127.0.0.1:1", Told()).splitlines()
    told = [line for line in lines if line.startswith("  neighbours ")]
    assert told == ([f"  neighbours    {said}"] if said else [])
    document = json.loads(start_line_json(settings, "http://127.0.0.1:1", Told()))
    assert document["neighbours"] == said


def test_doctor_tells_a_refused_wall_from_one_left_out_by_will() -> None:
    def wall(isolation: Isolation) -> Fact:
        facts = inside.walls(Told(), Settings(isolation=isolation))
        return next(fact for fact in facts if fact.subject == "wall: private /tmp")

    assert wall(Isolation.AUTO).verdict is Verdict.MISSING
    assert wall(Isolation.AUTO).finding == "mount: EPERM"
    assert wall(Isolation.NONE).verdict is Verdict.WARNING


def test_doctor_says_what_to_do_without_interpreters() -> None:
    fact = inside.interpreters(Trial(Told(interpreters=())))[0]
    assert fact.verdict is Verdict.MISSING
    assert "--interpreters" in fact.advice


# host


def test_a_data_directory_is_fine_before_it_exists(tmp_path: Path) -> None:
    fact = host.data_directory(tmp_path / "not" / "yet")
    assert fact.verdict is not Verdict.MISSING
    assert not (tmp_path / "not").exists()


def test_a_data_directory_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    fact = host.data_directory(tmp_path / "file" / "data")
    assert fact.verdict is Verdict.MISSING
    assert "SAMOVAR_DATA_DIR" in fact.advice


def few_uids(contexts: int) -> Fact:
    return host.uids(contexts, range(500, 504))


@pytest.mark.parametrize("look", [host.descriptors, host.processes, host.memory, few_uids])
def test_too_many_contexts_for_a_limit_are_told(look: object) -> None:
    assert callable(look)
    fact = look(10**12)
    if "unlimited" in fact.finding or "no limit" in fact.finding:
        pytest.skip("this host sets no such limit")
    assert fact.verdict is Verdict.WARNING
    assert "--max-contexts" in fact.advice
    assert look(1).verdict is Verdict.OK


# demo


def call(round_name: str, context: str, start: str, total: float) -> Call:
    return Call(round_name, context, start, {"handler": total / 2}, total)


CALLS = [
    call("cold", "17", "cold", 200.0),
    *(call("warm", "17", "warm", float(total)) for total in range(1, 21)),
    call("at once", "18", "cold", 300.0),
    call("at once", "17", "warm", 50.0),
]


@pytest.mark.parametrize(
    ("share", "expected"), [(0.5, 10.0), (0.99, 20.0), (0.05, 1.0), (0.051, 2.0), (1.0, 20.0)]
)
def test_percentiles_are_values_that_were_measured(share: float, expected: float) -> None:
    assert percentile([float(value) for value in range(20, 0, -1)], share) == expected


def test_rounds_and_starts_are_kept_apart() -> None:
    groups = [(group.round, group.start, group.calls) for group in tables.grouped(CALLS)]
    assert groups == [
        ("cold", "cold", 1),
        ("warm", "warm", 20),
        ("at once", "cold", 1),
        ("at once", "warm", 1),
    ]
    assert (tables.grouped(CALLS)[1].p50, tables.grouped(CALLS)[1].p99) == (10.0, 20.0)


def test_the_tables_name_contexts_phases_and_thumbnails() -> None:
    out = StringIO()
    tables.show(Console(file=out, width=100), CALLS, [Path("there/thumbnail-64.jpg")])
    lines = [line.split() for line in out.getvalue().splitlines()]
    assert ["warm", "20", "#1", "warm", "-", "-", "-", "5.0", "10.0"] in lines
    assert ["at", "once", "1", "#2", "cold", "-", "-", "-", "150.0", "300.0"] in lines
    assert "there/thumbnail-64.jpg" in out.getvalue()


def test_the_document_holds_every_call() -> None:
    document = json.loads(json.dumps(tables.as_document(CALLS, 7, [Path("a.jpg")])))
    assert len(document["calls"]) == len(CALLS)
    assert document["calls"][0]["phases"] == {"handler": 100.0}
    assert document["groups"][1]["p99"] == 20.0
    assert document["package_bytes"] == 7


def test_the_package_brings_its_own_pillow(tmp_path: Path) -> None:
    data = package.build_package(package.example_directory())
    with zipfile.ZipFile(BytesIO(data)) as archive:
        archive.extractall(tmp_path)
    program = (
        "import handler, PIL; picture = handler.read({'path': 'samovar.jpg'});"
        "print(PIL.__file__, picture.resize((8, 8)).size)"
    )
    # -S: no site-packages; what is imported comes from the package, native libraries included.
    run = subprocess.run(
        [sys.executable, "-S", "-c", program],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.stdout == f"{tmp_path}/PIL/__init__.py (8, 8)\n", run.stderr
    assert not [name for name in archive.namelist() if name.endswith(".pyc") or ".." in name]


def test_the_picture_is_small_enough_to_ship() -> None:
    picture = package.example_directory() / package.PICTURE
    assert picture.stat().st_size < 300_000


def test_doctor_says_whose_the_data_directory_is(tmp_path: Path) -> None:
    place = tmp_path / "data"
    assert disk.rights(place) == Fact("data directory", f"{place}: to be made, for this user alone")
    place.mkdir(mode=0o700)
    assert disk.rights(place).finding == f"{place}: this user's alone"
    place.chmod(0o750)
    (place / "samovar.db").touch(0o600)
    open_to_others = disk.rights(place)
    assert (open_to_others.verdict, open_to_others.advice) == (
        Verdict.WARNING,
        "samovar start mends it",
    )
    assert open_to_others.finding == f"open to others: {place}"
    assert place.stat().st_mode & 0o777 == 0o750  # doctor changes nothing
    (place / "notes.txt").touch()
    assert "mode 0750), and holds what is not the engine's" in disk.rights(place).finding
    place.chmod(0o777)
    refused = disk.rights(place)
    assert (refused.verdict, refused.advice) == (
        Verdict.MISSING,
        "samovar start refuses this directory",
    )
    assert disk.rights(place / "notes.txt").verdict is Verdict.MISSING


def test_doctor_says_whose_requests_are_served(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.touch(0o600)
    file.write_text("[a]\naws_access_key_id = AKID\naws_secret_access_key = do-not-tell\n")
    signed = access.look(Settings(credentials_file=file))
    assert (signed.verdict, signed.finding) == (Verdict.OK, f"signed; access keys: 1, in {file}")
    file.write_text(f"{file.read_text()}account = 111122223333\n")
    named = access.look(Settings(credentials_file=file)).finding
    assert named == f"signed; access keys: 1, 1 of them with names, in {file}"
    assert access.look(Settings()).finding == "not authenticated, from this machine only"
    assert access.look(Settings(allow_unsigned=True)).verdict is Verdict.WARNING
    file.chmod(0o640)
    refused = access.look(Settings(credentials_file=file))
    assert refused.verdict is Verdict.MISSING
    assert "chmod 600" in refused.finding
