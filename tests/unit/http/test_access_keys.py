"""The file of access keys: what is read from it, and that nothing of it is ever told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from samovar.doors.http.access_keys import AccessKey, read_access_keys
from samovar.errors import SettingsError
from samovar.model.access import Caller

SECRET = "do/not+tell%(me)s"
PLAIN = f"aws_access_key_id = AKID\naws_secret_access_key = {SECRET}\n"


def write(path: Path, content: str | bytes, mode: int = 0o600) -> Path:
    file = path / "credentials"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    file.chmod(mode)
    return file


def test_profiles_are_keys(tmp_path: Path) -> None:
    temporary = (
        "aws_access_key_id=ASIA\naws_secret_access_key=x=y\naws_session_token=abc==\n"
        "expiration=2026-01-31T12:00:00Z\n"
    )
    file = write(tmp_path, f"# for CI\n[DEFAULT]\n{PLAIN}\n[ci tests]\n{temporary}")
    assert read_access_keys(file) == {
        "AKID": AccessKey("AKID", SECRET),
        "ASIA": AccessKey("ASIA", "x=y", "abc==", 1769860800.0),
    }


OTHER = "111122223333"
READER = f"arn:aws:iam::{OTHER}:role/reader"


@pytest.mark.parametrize(
    ("names", "caller"),
    [
        (f"account = {OTHER}", Caller(OTHER, f"arn:aws:iam::{OTHER}:root")),
        (f"principal = {READER}", Caller(OTHER, READER)),
        (f"account = {OTHER}\nprincipal={READER}", Caller(OTHER, READER)),
        (
            f"principal={READER}\nallow = lambda:Get*, lambda:invokefunction,\n  samovar:Operate",
            Caller(OTHER, READER, ("lambda:Get*", "lambda:invokefunction", "samovar:Operate")),
        ),
        (
            f"account={OTHER}\norganization = o-a1b2c3d4e5",
            Caller(OTHER, f"arn:aws:iam::{OTHER}:root", None, "o-a1b2c3d4e5"),
        ),
    ],
)
def test_whose_a_key_is(tmp_path: Path, names: str, caller: Caller) -> None:
    file = write(tmp_path, f"[a]\n{PLAIN}{names}\n")
    assert read_access_keys(file)["AKID"].caller == caller


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "there is no profile in it; write [default], aws_access_key_id and aws_secret_ac"),
        (PLAIN, "line 1: expected a profile such as [default]"),
        (f"[a]\n{PLAIN}{SECRET}\n", "not of the form name = value: line 4"),
        (f"[a]\n{PLAIN}[a]\n", "line 4: the profile is there twice"),
        (f"[a]\n{PLAIN}{PLAIN}", "line 4: aws_access_key_id is there twice"),
        (f"[a]\n{PLAIN}[b]\n{PLAIN}", "[b]: aws_access_key_id is that of another profile"),
        ("[a]\naws_access_key_id = x\n", "[a]: aws_secret_access_key is missing"),
        (f"[a]\naws_secret_access_key = {SECRET}", "[a]: aws_access_key_id is missing"),
        (f"[a]\n{PLAIN}role_arn = x\n", "[a]: role_arn has no meaning here; there are aws_acc"),
        (f"[a]\n{PLAIN}aws_session_token =\n", "[a]: aws_session_token is empty; leave it out"),
        (f"[a]\n{PLAIN}expiration = soon\n", "[a]: expiration must be like 2026-01-31T12:00:00Z"),
        (f"[a]\n{PLAIN}account = me\n", "[a]: account must be the 12 digits of an account"),
        (f"[a]\n{PLAIN}account =\n", "[a]: account must be the 12 digits of an account"),
        (f"[a]\n{PLAIN}principal = {OTHER}\n", "[a]: principal must be the ARN of a user, a role"),
        (f"[a]\n{PLAIN}principal =\n", "[a]: principal must be the ARN of a user, a role"),
        (
            f"[a]\n{PLAIN}principal = {READER}\naccount = 444455556666\n",
            f"[a]: principal is of the account {OTHER}, and account says 444455556666",
        ),
        (f"[a]\n{PLAIN}allow = *\n", "[a]: allow needs account or principal beside it: whose k"),
        (
            f"[a]\n{PLAIN}account = {OTHER}\nallow = *\n",
            "[a]: allow needs a user or a role as principal: an account's root may do all that",
        ),
        (f"[a]\n{PLAIN}principal = {READER}\nallow = ,\n", "[a]: allow is empty; leave it out"),
        (
            f"[a]\n{PLAIN}principal = {READER}\nallow = lambda:Get*, {SECRET}\n",
            "[a]: allow: number 2 is no action of the Lambda API, nor samovar:Operate; write such",
        ),
        (
            f"[a]\n{PLAIN}account = {OTHER}\norganization = us\n",
            "[a]: organization must be an organization's id, such as o-a1b2c3d4e5",
        ),
        (b"[a]\n\xff", "is not UTF-8"),
        (b"#" * 2_000_000, "is larger than 1048576 bytes"),
    ],
)
def test_files_that_can_not_be_used(tmp_path: Path, content: str | bytes, said: str) -> None:
    file = write(tmp_path, content)
    with pytest.raises(SettingsError) as caught:
        read_access_keys(file)
    message = str(caught.value)
    assert message.startswith(f"credentials_file={str(file)!r}: {said}")
    assert SECRET not in message
    assert caught.value.__cause__ is None  # a traceback would print the line


@pytest.mark.parametrize("mode", [0o604, 0o620, 0o640, 0o610, 0o666])
def test_rights_of_others_are_refused(tmp_path: Path, mode: int) -> None:
    file = write(tmp_path, f"[a]\n{PLAIN}", mode)
    with pytest.raises(SettingsError, match=f"{mode:04o} gives rights to others; chmod 600 it"):
        read_access_keys(file)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_another_users_file_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, f"[a]\n{PLAIN}")
    os.chown(file, 12345, 0)
    with pytest.raises(SettingsError, match="belongs to uid 12345, must to uid 0"):
        read_access_keys(file)


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_access_keys(tmp_path / "nothing")
    with pytest.raises(SettingsError, match="must be a file"):
        read_access_keys(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(SettingsError, match="must be a file"):
        read_access_keys(tmp_path / "pipe")
