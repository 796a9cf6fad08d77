"""botocore's signer as the other side of ours: what it signs is what must verify."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from samovar.doors.http.access_keys import AccessKey
from samovar.doors.http.signature_parts import SignedRequest, date_seconds
from samovar.doors.http.sigv4 import Verifier

REGION = "eu-west-3"
PLAIN = AccessKey("AKIDPLAIN", "wJalr/plain+secret")
TEMPORARY = AccessKey("ASIATEMPORARY", "another secret", "a session token", 2e9)
KEYS = {key.id: key for key in (PLAIN, TEMPORARY)}


@dataclass(frozen=True, slots=True)
class Wire:
    """A signed request as it comes over the wire, and when it was signed."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes

    @property
    def date(self) -> str:
        found = dict(self.headers).get("x-amz-date") or dict(parse_qsl(self.query))["X-Amz-Date"]
        return str(found)

    def with_header(self, name: str, value: str | None) -> Wire:
        """Another value for a header; None takes it away."""
        kept = tuple(item for item in self.headers if item[0] != name)
        return replace(self, headers=kept if value is None else (*kept, (name, value)))

    def header(self, name: str) -> str:
        return dict(self.headers)[name]

    def verify(self, *, late: float = 0.0, keys: Any = KEYS, region: str = REGION) -> None:
        """Verify on a clock that is `late` seconds after the signing. Raises ClientError."""
        self.verify_at(date_seconds(self.date) + late, keys=keys, region=region)

    def verify_at(self, now: float, *, keys: Any = KEYS, region: str = REGION) -> None:
        verifier = Verifier(keys, region, lambda: now)
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        claim = verifier.claim(SignedRequest(self.method, self.path, self.query, headers))
        claim.demand_signed(hashlib.sha256(self.body).hexdigest())


def sign(
    method: str = "POST",
    url: str = "http://127.0.0.1:4566/2015-03-31/functions/f/invocations",
    body: bytes = b"{}",
    *,
    key: AccessKey = PLAIN,
    secret: str | None = None,
    expires: int | None = None,
    region: str = REGION,
    service: str = "lambda",
    headers: dict[str, str] | None = None,
) -> Wire:
    """A request as botocore signs it; with `expires` as a presigned URL."""
    request = AWSRequest(method, url, data=body, headers=headers or {})
    credentials = Credentials(key.id, secret or key.secret, key.session_token)
    if expires is None:
        SigV4Auth(credentials, service, region).add_auth(request)
    else:
        SigV4QueryAuth(credentials, service, region, expires=expires).add_auth(request)
    sent = request.prepare()
    parts = urlsplit(sent.url)
    told = {name.lower(): _text(value) for name, value in sent.headers.items()}
    told.setdefault("host", parts.netloc)
    return Wire(method, parts.path, parts.query, tuple(told.items()), body if body else b"")


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
