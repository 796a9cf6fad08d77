"""What a request says of its signature, read from either form: header or query (presigned)."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import quote, unquote_to_bytes

from samovar.doors.http import faults
from samovar.doors.http.replies import RawHeaders
from samovar.errors import ClientError

SKEW = 300.0  # seconds that a client's clock may be wrong (AWS: 5 minutes)
LONGEST = 604_800  # seconds that a presigned URL may live (AWS: a week)
# Characters; SDKs' have some hundred. Whoever has no key can't make us read a megabyte of names.
_LONGEST_AUTHORIZATION = 16_384

_DATE = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_PRESIGNED = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date")


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came: path and query are still percent-encoded, header names lower-case."""

    method: str
    path: str
    query: str
    headers: RawHeaders

    def header(self, name: str) -> str | None:
        """The value as it is signed: blanks folded, repeated headers joined by commas."""
        wanted = name.encode("latin-1", errors="replace")
        found = [_folded(value) for known, value in self.headers if known == wanted]
        return ",".join(found) if found else None

    def values(self) -> dict[str, str]:
        """The same of all headers, by name."""
        found: dict[str, list[str]] = {}
        for name, value in self.headers:
            found.setdefault(name.decode("latin-1"), []).append(_folded(value))
        return {name: ",".join(values) for name, values in found.items()}


def _folded(value: bytes) -> str:
    # Clients write latin-1 on the wire, and sign the same text as UTF-8.
    return " ".join(value.decode("latin-1").split())


@dataclass(frozen=True, slots=True)
class Parts:
    """What a request says of its signature, in either form. `lifetime`: seconds from `date` on."""

    algorithm: str
    credential: str
    signed_headers: tuple[str, ...]
    signature: str
    date: str
    token: str | None = field(repr=False)
    lifetime: float


def read_parts(request: SignedRequest, pairs: list[tuple[str, str]]) -> Parts:
    """What the request says of its signature; takes the signature itself out of `pairs`."""
    authorization = request.header("authorization")
    presigned = any(name in ("X-Amz-Algorithm", "X-Amz-Signature") for name, _ in pairs)
    if authorization is not None and len(authorization) > _LONGEST_AUTHORIZATION:
        raise incomplete(
            f"Authorization header must be smaller than {_LONGEST_AUTHORIZATION + 1} bytes."
        )
    if authorization is not None and presigned:
        raise ClientError(
            faults.INVALID_SIGNATURE,
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
            "header.",
        )
    if authorization is not None:
        return _from_header(request, authorization)
    if presigned:
        return _from_query(pairs)
    raise ClientError(faults.MISSING_TOKEN, "Missing Authentication Token")


def _from_header(request: SignedRequest, authorization: str) -> Parts:
    algorithm, _, rest = authorization.partition(" ")
    given: dict[str, str] = {}
    for pair in rest.split(","):
        name, _, value = pair.strip().partition("=")
        if name in given:
            raise incomplete(f"Authorization header has '{name}' more than once.")
        given[name] = value
    date = request.header("x-amz-date") or request.header("date")
    missing = [
        f"Authorization header requires '{name}' parameter. "
        for name in ("Credential", "Signature", "SignedHeaders")
        if not given.get(name)
    ]
    if date is None:
        missing.append(
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        )
    if missing or date is None:
        # What is in that header may be a secret of another kind.
        digest = base64.b64encode(hashlib.sha256(authorization.encode()).digest()).decode()
        missing.append(f"(Hashed with SHA-256 and encoded with Base64) Authorization={digest}")
        raise incomplete("".join(missing))
    return Parts(
        algorithm,
        given["Credential"],
        tuple(given["SignedHeaders"].lower().split(";")),
        given["Signature"],
        _basic_date(date),
        request.header("x-amz-security-token"),
        SKEW,
    )


def _from_query(pairs: list[tuple[str, str]]) -> Parts:
    given: dict[str, str] = {}
    for name, value in pairs:
        if name.startswith("X-Amz-"):
            if name in given:
                raise incomplete(f"AWS query-string parameters must include '{name}' once.")
            given[name] = unquote_to_bytes(value).decode("utf-8", errors="replace")
    missing = [
        f"AWS query-string parameters must include 'X-Amz-{name}'. "
        for name in _PRESIGNED
        if not given.get(f"X-Amz-{name}")
    ]
    if missing:
        raise incomplete("".join((*missing, "Re-examine the query-string parameters.")))
    pairs[:] = (pair for pair in pairs if pair[0] != "X-Amz-Signature")
    return Parts(
        given["X-Amz-Algorithm"],
        given["X-Amz-Credential"],
        tuple(given["X-Amz-SignedHeaders"].lower().split(";")),
        given["X-Amz-Signature"],
        _basic_date(given["X-Amz-Date"]),
        given.get("X-Amz-Security-Token"),
        _lifetime(given.get("X-Amz-Expires")),
    )


def _lifetime(text: str | None) -> float:
    if text is None:
        return SKEW
    if re.fullmatch("[0-9]{1,6}", text) is None or not 1 <= int(text) <= LONGEST:
        raise incomplete(f"X-Amz-Expires must be a number of seconds from 1 to {LONGEST} (a week)")
    return float(text)


def query_pairs(raw: str) -> list[tuple[str, str]]:
    """Names and values, decoded and encoded again: there is one spelling that is signed."""
    pairs = []
    for item in raw.split("&"):
        if item:
            name, _, value = item.partition("=")
            pairs.append((_encoded(name), _encoded(value)))
    return pairs


def _encoded(raw: str) -> str:
    plain = unquote_to_bytes(raw.replace("+", " ").encode("latin-1"))
    return quote(plain, safe="-_.~")


# Dates.


def _basic_date(text: str) -> str:
    """`YYYYMMDDTHHMMSSZ` of either kind of date header."""
    if _DATE.fullmatch(text) is not None:
        try:
            date_seconds(text)
        except ValueError:
            pass
        else:
            return text
    else:
        try:
            moment = parsedate_to_datetime(text)
            return date_text((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
        except (ValueError, TypeError, OverflowError):
            pass
    raise incomplete(
        f"Date must be in ISO-8601 'basic format'. Got '{text[:64]}'. "
        "See http://en.wikipedia.org/wiki/ISO_8601"
    )


def date_seconds(date: str) -> float:
    return datetime.strptime(date, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def date_text(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def incomplete(message: str) -> ClientError:
    return ClientError(faults.INCOMPLETE_SIGNATURE, message)
