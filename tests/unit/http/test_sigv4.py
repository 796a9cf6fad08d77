"""Signatures: whatever botocore signs verifies, and nothing that was changed since does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from email.utils import parsedate_to_datetime
from urllib.parse import quote

import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from tests.signing import KEYS, PLAIN, REGION, TEMPORARY, Wire, sign

from samovar.doors.http.access_keys import AccessKey
from samovar.doors.http.signature_parts import date_seconds
from samovar.doors.http.sigv4 import Verifier
from samovar.errors import ClientError

HOST = "http://127.0.0.1:4566"
# What header values are made of on the wire, from a blank to «ÿ».
VALUES = st.text(st.characters(min_codepoint=32, max_codepoint=255, blacklist_characters="\x7f"))
TEXTS = st.text(st.characters(blacklist_categories=["Cs"]), max_size=12)


@st.composite
def requests(draw: st.DrawFn) -> tuple[str, str, bytes, dict[str, str]]:
    """Method, URL, body and headers, encoded as SDKs encode them."""
    segments = draw(st.lists(TEXTS, min_size=1, max_size=4))
    path = "/".join(quote(segment, safe="-._~") for segment in segments)
    pairs = draw(st.lists(st.tuples(TEXTS.filter(bool), TEXTS), max_size=4))
    encoded = (f"{quote(a, safe='-._~')}={quote(b, safe='-._~')}" for a, b in pairs)
    query = "&".join(encoded)
    names = st.sampled_from(["X-Amz-Log-Type", "X-Amz-Client-Context", "Content-Type", "X-Other"])
    headers = draw(st.dictionaries(names, VALUES, max_size=3))
    url = f"{HOST}/{path}?{query}" if query else f"{HOST}/{path}"
    method = draw(st.sampled_from(["GET", "POST", "PUT", "DELETE"]))
    return method, url, draw(st.binary(max_size=40)), headers


Key = st.sampled_from([PLAIN, TEMPORARY])


@given(requests(), Key)
def test_what_botocore_signs_verifies(
    request: tuple[str, str, bytes, dict[str, str]], key: AccessKey
) -> None:
    method, url, body, headers = request
    sign(method, url, body, key=key, headers=headers).verify()


@given(requests(), Key)
def test_what_botocore_presigns_verifies(
    request: tuple[str, str, bytes, dict[str, str]], key: AccessKey
) -> None:
    method, url, _, _ = request
    sign(method, url, b"", key=key, expires=60).verify(late=59)


CHANGES: dict[str, Callable[[Wire], Wire]] = {
    "method": lambda it: replace(it, method="PATCH"),
    "path": lambda it: replace(it, path=it.path + "x"),
    "path's encoding": lambda it: replace(it, path=it.path + "/%2e"),
    "query": lambda it: replace(it, query=it.query + ("&" if it.query else "") + "Qualifier=1"),
    "body": lambda it: replace(it, body=it.body + b" "),
    "host": lambda it: it.with_header("host", "127.0.0.1:4567"),
    "an x-amz- header more": lambda it: it.with_header("x-amz-invocation-type", "Event"),
}
OF_HEADERS: dict[str, Callable[[Wire], Wire]] = {
    "date": lambda it: it.with_header("x-amz-date", _later(it.date)),
    "signed header": lambda it: it.with_header("x-extra", it.header("x-extra") + "!"),
    "signed header left out": lambda it: it.with_header("x-extra", None),
    "scope's date": lambda it: _authorization(it, f"/{it.date[:8]}/", "/20200101/"),
    "scope's Region": lambda it: _authorization(it, REGION, "us-east-1"),
    "scope's service": lambda it: _authorization(it, "/lambda/", "/s3/"),
    "terminator": lambda it: _authorization(it, "aws4_request", "aws4_requesT"),
    "key": lambda it: _authorization(
        it, it.header("authorization").split("/")[0][-9:], "OTHERKEY1"
    ),
    "signature": lambda it: it.with_header("authorization", _flipped(it.header("authorization"))),
}


def _later(date: str) -> str:
    return date[:-2] + ("0Z" if date[-2] != "0" else "1Z")


def _authorization(it: Wire, old: str, new: str) -> Wire:
    assert old in it.header("authorization")
    return it.with_header("authorization", it.header("authorization").replace(old, new))


def _flipped(text: str) -> str:
    return text[:-1] + ("0" if text[-1] != "0" else "1")


@settings(max_examples=20)
@given(requests(), Key)
def test_what_was_changed_does_not(
    request: tuple[str, str, bytes, dict[str, str]], key: AccessKey
) -> None:
    method, url, body, headers = request
    signed = sign(method, url, body, key=key, headers={**headers, "X-Extra": "1"})
    signed.verify()
    for change, changed in (CHANGES | OF_HEADERS).items():
        note(change)
        with pytest.raises(ClientError):
            changed(signed).verify_at(date_seconds(signed.date))


@settings(max_examples=20)
@given(requests(), Key)
def test_what_was_changed_of_a_presigned_url_does_not(
    request: tuple[str, str, bytes, dict[str, str]], key: AccessKey
) -> None:
    signed = sign(request[0], request[1], b"", key=key, expires=60)
    for change, changed in CHANGES.items():
        note(change)
        with pytest.raises(ClientError):
            changed(signed).verify()


def refused(it: Wire, **how: float) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as caught:
        it.verify(**how)  # type: ignore[arg-type]
    error = caught.value.error
    assert error.fault is None
    assert error.message_key == "message"
    return error.code.removesuffix("Exception"), error.status, caught.value.message


def test_a_wrong_secret_is_told_what_should_have_been_signed() -> None:
    signed = sign(secret="wrong", headers={"X-Amz-Log-Type": "Tail"})
    code, status, message = refused(signed)
    assert (code, status) == ("InvalidSignature", 403)
    assert message.startswith("The request signature we calculated does not match the signature ")
    assert (
        "The Canonical String for this request should have been\n'POST\n"
        "/2015-03-31/functions/f/invocations\n\n"
    ) in message
    assert f"\n\nhost;x-amz-date;x-amz-log-type\n{EMPTY_OBJECT}'" in message
    assert f"The String-to-Sign should have been\n'AWS4-HMAC-SHA256\n{signed.date}\n" in message
    assert "wrong" not in message
    assert PLAIN.secret not in message


EMPTY_OBJECT = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"


def test_no_session_token_is_repeated() -> None:
    _, _, message = refused(sign(key=TEMPORARY, secret="wrong"))
    assert message.endswith("Consult the service documentation for details.")


@pytest.mark.parametrize(
    "key",
    [
        AccessKey("AKIDUNKNOWN", "x"),
        AccessKey(PLAIN.id, PLAIN.secret, "a token that it does not have"),
        AccessKey(TEMPORARY.id, TEMPORARY.secret, "another token"),
        AccessKey(TEMPORARY.id, TEMPORARY.secret),
    ],
    ids=["unknown", "token too many", "wrong token", "no token"],
)
@pytest.mark.parametrize("expires", [None, 60])
def test_keys_and_tokens_that_are_none(key: AccessKey, expires: int | None) -> None:
    told = refused(sign(key=key, expires=expires, body=b""))
    assert told == (
        "UnrecognizedClient",
        403,
        "The security token included in the request is invalid.",
    )


def test_an_expired_token() -> None:
    keys = {TEMPORARY.id: replace(TEMPORARY, expires=1e9)}
    with pytest.raises(ClientError) as caught:
        sign(key=TEMPORARY).verify(keys=keys)
    assert caught.value.error.code == "ExpiredTokenException"
    assert caught.value.message == "The security token included in the request is expired"
    with pytest.raises(ClientError, match="does not match"):  # whoever does not know the secret
        sign(key=TEMPORARY, secret="wrong").verify(keys=keys)


@pytest.mark.parametrize(
    ("expires", "late", "said"),
    [
        (None, -301, "Signature not yet current: D is still later than "),
        (None, -300, None),
        (None, 300, None),
        (None, 301, "Signature expired: D is now earlier than "),
        (600, -301, "Signature not yet current: D is still later than "),
        (600, 600, None),
        (600, 601, "Signature expired: D is now earlier than "),
        (604800, 604800, None),
    ],
)
def test_clocks_that_differ(expires: int | None, late: float, said: str | None) -> None:
    signed = sign(body=b"", expires=expires)
    if said is None:
        signed.verify(late=late)
        return
    code, status, message = refused(signed, late=late)
    assert (code, status) == ("InvalidSignature", 403)
    assert message.startswith(said.replace("D", signed.date))
    assert message.endswith("+ 5 min.)" if late < 0 else f"- {(expires or 300) // 60} min.)")


def test_a_date_header_will_do() -> None:
    signed = sign(headers={"Date": "set by the signer"})
    assert "x-amz-date" not in dict(signed.headers)
    signed.verify_at(parsedate_to_datetime(signed.header("date")).replace(tzinfo=UTC).timestamp())


def header_form(authorization: str, **headers: str) -> Wire:
    told = {"host": "h", "x-amz-date": "20260102T030405Z", "authorization": authorization}
    told |= {name.replace("_", "-"): value for name, value in headers.items()}
    return Wire("GET", "/", "", tuple((k, v) for k, v in told.items() if v), b"")


def credential(text: str, signed: str = "host;x-amz-date") -> str:
    return f"AWS4-HMAC-SHA256 Credential={text}, SignedHeaders={signed}, Signature=00"


HASHED = "(Hashed with SHA-256 and encoded with Base64) Authorization="


@pytest.mark.parametrize(
    ("wire", "code", "message"),
    [
        (header_form(""), "MissingAuthenticationToken", "Missing Authentication Token"),
        (
            header_form("Bearer secret"),
            "IncompleteSignature",
            "Authorization header requires 'Credential' parameter. Authorization header requires "
            "'Signature' parameter. Authorization header requires 'SignedHeaders' parameter. "
            f"{HASHED}v/3iBBM0e3oA4TY94/l8pp5BncCupV9KSnUBj6s6Do4=",
        ),
        (
            header_form("AWS4-HMAC-SHA256 Credential=a, SignedHeaders=b", x_amz_date=""),
            "IncompleteSignature",
            "Authorization header requires 'Signature' parameter. Authorization header requires "
            "existence of either a 'X-Amz-Date' or a 'Date' header. "
            f"{HASHED}3Pr+vyPJRtLX86dwXTUhwaf5UIUUxtP/g+sepNlmYDo=",
        ),
        (
            header_form(credential("a") + ", Signature=1"),
            "IncompleteSignature",
            "Authorization header has 'Signature' more than once.",
        ),
        (
            header_form(credential("a"), x_amz_date="yesterday"),
            "IncompleteSignature",
            "Date must be in ISO-8601 'basic format'. Got 'yesterday'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            header_form(credential("a"), x_amz_date="20261302T030405Z"),
            "IncompleteSignature",
            "Date must be in ISO-8601 'basic format'. Got '20261302T030405Z'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            header_form(credential("a", "x-amz-date")),
            "InvalidSignature",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            header_form(credential("a", "host")),
            "InvalidSignature",
            "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.",
        ),
        (
            header_form(credential("a").replace("HMAC", "ECDSA-P256")),
            "IncompleteSignature",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256' "
            "(only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            header_form(credential("AKIDPLAIN/20260102/x")),
            "IncompleteSignature",
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term, got 'AKIDPLAIN/20260102/x'",
        ),
        (
            header_form(credential("AKIDPLAIN/20260101/x/s3/end")),
            "InvalidSignature",
            "Credential should be scoped to a valid region, not 'x'. "
            "Credential should be scoped to correct service: 'lambda'. "
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'end'. "
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            "HTTP: '20260101' != '20260102', from '20260102T030405Z'.",
        ),
        (
            replace(header_form(credential("a")), query="X-Amz-Algorithm=AWS4-HMAC-SHA256"),
            "InvalidSignature",
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
            "header.",
        ),
        (
            replace(header_form(""), query="X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a"),
            "IncompleteSignature",
            "AWS query-string parameters must include 'X-Amz-Signature'. AWS query-string "
            "parameters must include 'X-Amz-SignedHeaders'. AWS query-string parameters must "
            "include 'X-Amz-Date'. Re-examine the query-string parameters.",
        ),
        (
            replace(header_form(""), query="X-Amz-Signature=1&X-Amz-Signature=2"),
            "IncompleteSignature",
            "AWS query-string parameters must include 'X-Amz-Signature' once.",
        ),
    ],
)
def test_signatures_that_are_not_whole(wire: Wire, code: str, message: str) -> None:
    with pytest.raises(ClientError) as caught:
        wire.verify_at(1767323045.0)  # 2026-01-02T03:04:05Z
    assert caught.value.error.code == f"{code}Exception"
    assert caught.value.error.status == 403
    assert caught.value.message == message
    assert "secret" not in message


@pytest.mark.parametrize("expires", ["0", "604801", "-1", "tea", "1e3"])
def test_lifetimes_out_of_range(expires: str) -> None:
    signed = sign(body=b"", expires=60)
    changed = replace(signed, query=signed.query.replace("Expires=60", f"Expires={expires}"))
    code, _, message = refused(changed)
    assert code == "IncompleteSignature"
    assert message == "X-Amz-Expires must be a number of seconds from 1 to 604800 (a week)"


@pytest.mark.parametrize(
    "told",
    [
        "UNSIGNED-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD",
        "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER",
        "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "nonsense",
    ],
)
def test_bodies_that_are_not_hashed_as_a_whole(told: str) -> None:
    code, _, message = refused(sign(headers={"X-Amz-Content-SHA256": told}))
    assert code == "InvalidSignature"
    assert f"not '{told}': payloads that are unsigned" in message


def test_a_hash_that_is_said_must_be_the_bodys() -> None:
    signed = sign(headers={"X-Amz-Content-SHA256": EMPTY_OBJECT})
    signed.verify()
    code, _, message = refused(replace(signed, body=b"{ }"))
    assert code == "InvalidSignature"
    assert message == "The provided 'x-amz-content-sha256' header does not match what was computed."


def test_headers_that_came_twice_are_signed_as_one() -> None:
    signed = sign(headers={"X-Amz-Thing": "a  b,c"})
    rest = signed.with_header("x-amz-thing", None)
    twice = replace(rest, headers=(*rest.headers, ("x-amz-thing", " a b "), ("x-amz-thing", "c")))
    twice.verify()
    again = replace(signed, headers=(*signed.headers, ("x-amz-date", signed.date)))
    with pytest.raises(ClientError, match="basic format"):
        again.verify_at(date_seconds(signed.date))


def test_spellings_of_one_query_are_one() -> None:
    """SDKs differ in what they leave unencoded on the wire; all sign the same spelling."""
    signed = sign("GET", f"{HOST}/x?a=b%20c%3A&d=~", b"")
    for spelling in ("a=b+c:&d=~", "d=~&a=b%20c%3a", "%61=b%20c:&d=%7e"):
        replace(signed, query=spelling).verify()


def test_an_authorization_without_end_is_not_read() -> None:
    names = ";".join(f"a{number}" for number in range(4000))
    code, _, message = refused(sign().with_header("authorization", credential("a", names)))
    assert code == "IncompleteSignature"
    assert message == "Authorization header must be smaller than 16385 bytes."


def test_a_long_request_is_not_repeated_to_who_signed_it_wrongly() -> None:
    signed = sign(headers={"X-Amz-Thing": "a" * 9000})
    _, _, message = refused(replace(signed, body=b"changed"))
    assert message.startswith("The request signature we calculated does not match")
    assert len(message) < 1000


def test_nothing_shows_a_secret() -> None:
    verifier = Verifier(KEYS, REGION, lambda: 0.0)
    shown = repr((PLAIN, TEMPORARY, verifier, sorted(KEYS.values(), key=lambda key: key.id)))
    for key in KEYS.values():
        assert key.secret not in shown
        assert (key.session_token or key.secret) not in shown
