"""Signature Version 4, the server's side: who signed a request, and whether nothing was changed.

Pure: no I/O, and the time comes from outside. What a client may do is in AWS's documentation of
Signature Version 4; what it signs, byte by byte, botocore's signer shows, which is the check in the
tests. The texts of the errors are those of AWS's services where records of them were to be found.

The two steps of verifying are there for large bodies: `Verifier.claim` needs none yet, so that
nothing is kept for somebody who has no key; `Claim.demand_signed` needs the body's hash.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import quote

from botocore.utils import normalize_url_path

from samovar.doors.http import faults
from samovar.doors.http.access_keys import AccessKey
from samovar.doors.http.signature_parts import (
    SKEW,
    Parts,
    SignedRequest,
    date_seconds,
    date_text,
    incomplete,
    query_pairs,
    read_parts,
)
from samovar.errors import ClientError

SERVICE = "lambda"

_ALGORITHM = "AWS4-HMAC-SHA256"
_TERMINATOR = "aws4_request"
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS "
    "Secret Access Key and signing method. Consult the service documentation for details."
)
_SHOWN = 8192  # characters of a canonical request that an error repeats
_INVALID_TOKEN = "The security token included in the request is invalid."  # noqa: S105 - a text


class Verifier:
    """Verifies requests to one service of one Region. `wall`: seconds since 1970."""

    def __init__(
        self, keys: Mapping[str, AccessKey], region: str, wall: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._region = region
        self._wall = wall
        self.signing_key = lru_cache(maxsize=64)(self._signing_key)

    def claim(self, request: SignedRequest) -> Claim:
        """Whose request this claims to be; everything but body and signature has been checked.

        Raises ClientError.
        """
        pairs = query_pairs(request.query)
        parts = read_parts(request, pairs)
        self._demand_current(parts)
        _demand_headers_signed(request, parts.signed_headers)
        if parts.algorithm != _ALGORITHM:
            raise incomplete(
                f"Unsupported AWS 'algorithm': '{parts.algorithm}' (only {_ALGORITHM} for now). "
            )
        scope = parts.credential.split("/")
        if len(scope) != 5:
            raise incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. "
                f"keyid/date/region/service/term, got '{parts.credential}'"
            )
        self._demand_scope(scope[1:], parts.date)
        key = self._keys.get(scope[0])
        if key is None:
            raise ClientError(faults.UNRECOGNIZED_CLIENT, _INVALID_TOKEN)
        return Claim(self, key, request, pairs, parts, _content_hash(request))

    def demand_valid_key(self, key: AccessKey, token: str | None) -> None:
        """The session token, once the signature has been found right. Raises ClientError."""
        given, wanted = (token or "").encode(), (key.session_token or "").encode()
        if not hmac.compare_digest(given, wanted):
            raise ClientError(faults.UNRECOGNIZED_CLIENT, _INVALID_TOKEN)
        if key.expires is not None and self._wall() >= key.expires:
            raise ClientError(
                faults.EXPIRED_TOKEN, "The security token included in the request is expired"
            )

    def _demand_current(self, parts: Parts) -> None:
        signed, now = date_seconds(parts.date), self._wall()
        # To the second, as dates are written.
        oldest, newest = int(now - parts.lifetime), int(now + SKEW)
        if signed < oldest:
            minutes = f"{parts.lifetime / 60:g}"
            raise ClientError(
                faults.INVALID_SIGNATURE,
                f"Signature expired: {parts.date} is now earlier than {date_text(oldest)} "
                f"({date_text(now)} - {minutes} min.)",
            )
        if signed > newest:
            raise ClientError(
                faults.INVALID_SIGNATURE,
                f"Signature not yet current: {parts.date} is still later than {date_text(newest)} "
                f"({date_text(now)} + {SKEW / 60:g} min.)",
            )

    def _demand_scope(self, scope: list[str], date: str) -> None:
        day, region, service, terminator = scope
        wrong = []
        if region != self._region:
            wrong.append(f"Credential should be scoped to a valid region, not '{region}'. ")
        if service != SERVICE:
            wrong.append(f"Credential should be scoped to correct service: '{SERVICE}'. ")
        if terminator != _TERMINATOR:
            wrong.append(
                f"Credential should be scoped with a valid terminator: '{_TERMINATOR}', not "
                f"'{terminator}'. "
            )
        if day != date[:8]:
            wrong.append(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date "
                f"from HTTP: '{day}' != '{date[:8]}', from '{date}'."
            )
        if wrong:
            raise ClientError(faults.INVALID_SIGNATURE, "".join(wrong))

    def _signing_key(self, key_id: str, day: str) -> bytes:
        key = f"AWS4{self._keys[key_id].secret}".encode()
        for part in (day, self._region, SERVICE, _TERMINATOR):
            key = hmac.digest(key, part.encode(), "sha256")
        return key


@dataclass(frozen=True, slots=True)
class Claim:
    """A request that says who signed it. `content_hash`: what it says of its body, if it does."""

    verifier: Verifier
    key: AccessKey
    request: SignedRequest = field(repr=False)
    pairs: list[tuple[str, str]] = field(repr=False)
    parts: Parts
    content_hash: str | None

    def demand_signed(self, body_hash: str) -> None:
        """Raise ClientError unless the key's owner signed this request with this body.

        `body_hash` is the SHA-256 of the body, hexadecimal.
        """
        parts = self.parts
        if self.content_hash is not None and self.content_hash != body_hash:
            raise ClientError(
                faults.INVALID_SIGNATURE,
                "The provided 'x-amz-content-sha256' header does not match what was computed.",
            )
        canonical = self._canonical_request(body_hash)
        day = parts.date[:8]
        to_sign = "\n".join(
            (
                _ALGORITHM,
                parts.date,
                parts.credential.partition("/")[2],
                hashlib.sha256(canonical.encode()).hexdigest(),
            )
        )
        key = self.verifier.signing_key(self.key.id, day)
        expected = hmac.digest(key, to_sign.encode(), "sha256").hex()
        if not hmac.compare_digest(expected.encode(), parts.signature.encode()):
            raise ClientError(faults.INVALID_SIGNATURE, self._mismatch(canonical, to_sign))
        self.verifier.demand_valid_key(self.key, parts.token)

    def _canonical_request(self, body_hash: str) -> str:
        request, names = self.request, self.parts.signed_headers
        values = request.values()
        query = "&".join(f"{name}={value}" for name, value in sorted(self.pairs))
        return "\n".join(
            (
                request.method,
                # Once more, although it is encoded: of all services only S3 leaves that out.
                quote(normalize_url_path(request.path), safe="/~"),
                query,
                *(f"{name}:{values.get(name, '')}" for name in names),
                "",
                ";".join(names),
                body_hash,
            )
        )

    def _mismatch(self, canonical: str, to_sign: str) -> str:
        """As AWS says it, with what should have been signed; but no session token is repeated."""
        if self.parts.token is not None or len(canonical) > _SHOWN:
            return _MISMATCH
        return (
            f"{_MISMATCH}\n\nThe Canonical String for this request should have been\n'{canonical}'"
            f"\n\nThe String-to-Sign should have been\n'{to_sign}'\n"
        )


def _demand_headers_signed(request: SignedRequest, signed: tuple[str, ...]) -> None:
    names = frozenset(signed)
    if "host" not in names:
        raise ClientError(
            faults.INVALID_SIGNATURE,
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        )
    for raw_name, _ in request.headers:
        name = raw_name.decode("latin-1")
        if name.startswith("x-amz-") and name not in names:
            # AWS's documentation demands it; the text is ours.
            raise ClientError(
                faults.INVALID_SIGNATURE,
                f"'{name}' must be a 'SignedHeader' in the AWS Authorization.",
            )


def _content_hash(request: SignedRequest) -> str | None:
    told = request.header("x-amz-content-sha256")
    if told is None or re.fullmatch("[0-9a-f]{64}", told) is not None:
        return told
    # As Lambda's function URLs (CloudFront's developer guide, on origin access control for them:
    # «Lambda doesn't support unsigned payloads»). The API's own front end is unconfirmed; SDKs sign
    # the payload of everything but S3, and of that but over TLS.
    raise ClientError(
        faults.INVALID_SIGNATURE,
        f"x-amz-content-sha256 must be the SHA-256 of the body in hexadecimal, not '{told[:64]}': "
        "payloads that are unsigned, or signed chunk by chunk, are not taken.",
    )
