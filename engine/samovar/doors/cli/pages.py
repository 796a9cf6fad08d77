"""The engine's own pages, as the commands ask them; another emulator has none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast
from urllib.parse import quote

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, AWSResponse
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session

from samovar.doors.cli.exits import Exit, Failure
from samovar.model.census import SCHEMA, Document
from samovar.settings import is_loopback

_TIMEOUT = 10  # seconds
_LONGEST_WAIT = (
    60  # seconds; an engine answers a third of that time after it was asked, if it lives
)


def signed(client: Any, method: str, url: str, body: bytes = b"") -> AWSRequest:
    """A request with the client's own signature: an engine that knows keys looks for one."""
    request = AWSRequest(method, url, data=body)
    signer = client._request_signer
    if signer._credentials is not None:
        auth = SigV4Auth(signer._credentials, "lambda", client.meta.region_name)
        auth.add_auth(request)
    return request


def contexts(client: Any) -> list[dict[str, Any]] | None:
    """Every context of the engine; None where nobody knows that page."""
    status, document = _ask(client, "GET", "/_samovar/contexts")
    found = document.get("contexts")
    return found if status == 200 and isinstance(found, list) else None


def census(client: Any) -> Document:
    """The engine's whole document of contexts and functions (docs/contexts.md). Raises Failure
    where there is none that can be read here, and what boto3 raises if nobody answers."""
    status, document = answered(client, "GET", "/_samovar/contexts")
    if status == 200 and document.get("schema") == SCHEMA:
        return cast(Document, document)
    raise cannot(client, "has no list of contexts that this samovar can read", status, document)


def drop_idle(client: Any, name: str) -> int:
    """End the function's idle contexts; how many there were. Raises Failure where that can't be."""
    path = f"/_samovar/functions/{quote(name, safe='')}/drop-idle"
    status, document = _ask(client, "POST", path)
    if status == 200 and isinstance(document.get("dropped"), int):
        return int(document["dropped"])
    raise cannot(client, "does not drop idle contexts", status, document)


def await_change(client: Any, name: str, revision: str) -> str | None:
    """Wait until the function has another RevisionId than `revision`, or for a while; the directory
    that hot reload takes its code from then, None without. Raises Failure where that can't be
    waited for, and what boto3 raises if the function or the engine is gone."""
    path = f"/_samovar/functions/{quote(name, safe='')}/await-change/{quote(revision, safe='')}"
    status, document = _ask(client, "POST", path, _LONGEST_WAIT)
    if status == 200 and "directory" in document:
        return None if document["directory"] is None else str(document["directory"])
    client.get_function_configuration(FunctionName=name)  # says what is wrong, if anything is
    raise cannot(client, "does not tell of changes", status, document)


def metrics_text(client: Any) -> str | None:
    """The engine's metrics, in Prometheus's text format; None where nobody knows that page."""
    try:
        reply = _sent(client, "GET", "/_samovar/metrics", _TIMEOUT)
    except HTTPClientError:
        return None
    text: str = reply.content.decode(errors="replace")
    return text if reply.status_code == 200 and "samovar_" in text else None


def cannot(client: Any, what: str, status: int, document: Mapping[str, Any]) -> Failure:
    """That the engine, if it is one, does not do it, and what it said."""
    told = document.get("Message") or document.get("message") or "it is no Samovar, or an old one"
    return Failure(Exit.REFUSED, f"{client.meta.endpoint_url} {what} ({status}): {told}")


def _ask(
    client: Any, method: str, path: str, timeout: float = _TIMEOUT
) -> tuple[int, dict[str, Any]]:
    """Status and document; 0 and nothing where nobody answers."""
    try:
        return answered(client, method, path, timeout)
    except HTTPClientError:
        return 0, {}


def answered(
    client: Any, method: str, path: str, timeout: float = _TIMEOUT
) -> tuple[int, dict[str, Any]]:
    """Status and document, of an error with AWS's name for it under `code`; 0 and nothing for what
    is none of ours. Raises HTTPClientError where nobody answers."""
    reply = _sent(client, method, path, timeout)
    try:
        document = json.loads(reply.content or b"{}")
    except ValueError:
        return 0, {}
    if not isinstance(document, dict):
        return reply.status_code, {}
    code = reply.headers.get("x-amzn-errortype")
    return reply.status_code, {**document, "code": code} if code else document


def _sent(client: Any, method: str, path: str, timeout: float) -> AWSResponse:
    """What is answered. Raises HTTPClientError where nobody answers."""
    endpoint = str(client.meta.endpoint_url).rstrip("/")
    session = URLLib3Session(
        proxies={} if is_loopback(endpoint) else None, timeout=timeout, max_pool_connections=1
    )
    try:
        reply = session.send(signed(client, method, endpoint + path).prepare())
        _ = reply.content  # read before the session is closed
    finally:
        session.close()
    return reply
