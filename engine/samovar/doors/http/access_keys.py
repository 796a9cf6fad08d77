"""The access keys that requests may be signed with: a file in the form of `~/.aws/credentials`.

Nothing here ever puts a line of that file into an error: it could hold a secret.
"""

from __future__ import annotations

import configparser
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from samovar.doors.http.key_names import NAMES, caller_of
from samovar.errors import SettingsError
from samovar.model.access import Caller

_ID = "aws_access_key_id"
_SECRET = "aws_secret_access_key"  # noqa: S105 - the name of one
_TOKEN = "aws_session_token"  # noqa: S105
_EXPIRATION = "expiration"
_KNOWN = (_ID, _SECRET, _TOKEN, _EXPIRATION, *NAMES)
_MOST = 1024 * 1024  # bytes; a file of thousands of profiles is smaller


@dataclass(frozen=True, slots=True)
class AccessKey:
    """One key. `session_token` is for temporary ones; `expires`: seconds since 1970, UTC; `caller`:
    whose it is, None for the engine's own account, which may do everything."""

    id: str
    secret: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)
    expires: float | None = None
    caller: Caller | None = None


def read_access_keys(path: Path) -> Mapping[str, AccessKey]:
    """The keys of all profiles in `path`, by their ids; at least one.

    Raises SettingsError if the file can't be read or used, and where others than the engine's own
    user could read or change it.
    """
    text = _read_private(path)
    parser = configparser.RawConfigParser(default_section="")
    try:
        parser.read_string(text)
    except configparser.DuplicateSectionError as error:
        raise _wrong(path, f"line {error.lineno}: the profile is there twice") from None
    except configparser.DuplicateOptionError as error:
        raise _wrong(path, f"line {error.lineno}: {error.option} is there twice") from None
    except configparser.MissingSectionHeaderError as error:
        raise _wrong(path, f"line {error.lineno}: expected a profile such as [default]") from None
    except configparser.ParsingError as error:
        lines = ", ".join(str(number) for number, _ in error.errors)
        raise _wrong(path, f"not of the form name = value: line {lines}") from None
    keys: dict[str, AccessKey] = {}
    for profile in parser.sections():
        key = _access_key(path, profile, dict(parser.items(profile)))
        if key.id in keys:
            raise _wrong(path, f"[{profile}]: {_ID} is that of another profile")
        keys[key.id] = key
    if not keys:
        raise _wrong(path, f"there is no profile in it; write [default], {_ID} and {_SECRET}")
    return keys


def _read_private(path: Path) -> str:
    """The text of a file that is the engine's user's alone; looked at and read as one file."""
    try:
        # Not blocking: opening a pipe would wait for its other end.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise _wrong(path, f"can't be read: {error.strerror}") from error
    try:
        _demand_private(path, os.fstat(descriptor))
        content = os.read(descriptor, _MOST + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST:
        raise _wrong(path, f"is larger than {_MOST} bytes")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise _wrong(path, "is not UTF-8") from None


def _demand_private(path: Path, found: os.stat_result) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise _wrong(path, "must be a file")
    if found.st_uid != os.geteuid():
        raise _wrong(path, f"belongs to uid {found.st_uid}, must to uid {os.geteuid()}; chown it")
    if found.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        mode = stat.S_IMODE(found.st_mode)
        raise _wrong(path, f"its mode {mode:04o} gives rights to others; chmod 600 it")


def _access_key(path: Path, profile: str, values: Mapping[str, str]) -> AccessKey:
    # AWS's tools know ways to fetch keys (role_arn, credential_process, …): none is followed here.
    for name in values:
        if name not in _KNOWN:
            known = ", ".join(_KNOWN)
            raise _wrong(path, f"[{profile}]: {name} has no meaning here; there are {known}")
    for name in (_ID, _SECRET):
        if not values.get(name):
            raise _wrong(path, f"[{profile}]: {name} is missing")
    if _TOKEN in values and not values[_TOKEN]:
        raise _wrong(path, f"[{profile}]: {_TOKEN} is empty; leave it out")
    try:
        caller = caller_of(values)
    except ValueError as error:
        raise _wrong(path, f"[{profile}]: {error}") from None
    return AccessKey(
        values[_ID],
        values[_SECRET],
        values.get(_TOKEN),
        _moment(path, profile, values[_EXPIRATION]) if _EXPIRATION in values else None,
        caller,
    )


def _moment(path: Path, profile: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise _wrong(
            path, f"[{profile}]: {_EXPIRATION} must be like 2026-01-31T12:00:00Z"
        ) from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _wrong(path: Path, what: str) -> SettingsError:
    return SettingsError(f"credentials_file={str(path)!r}: {what}")
