"""Request ids, code links, the address to bind, and what Invoke knows of the model by heart."""

from __future__ import annotations

import uuid

import pytest

from samovar.doors.http import code_links, invoke
from samovar.doors.http.api_model import operation_models
from samovar.doors.http.code_links import CodeLinks
from samovar.doors.http.operations import OPERATIONS
from samovar.doors.http.server import address_of
from samovar.errors import SettingsError
from samovar.invocation.identity import Identities, is_uuid
from samovar.model.function import CodePackage, Configuration, FunctionVersion

A_UUID = "6d6a999d-2379-48af-b5a7-142a9c97fa8b"


def test_request_ids_are_random_uuids() -> None:
    ids = Identities()
    made = [ids.request_id() for _ in range(1000)]
    assert len(set(made)) == 1000
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)
        assert is_uuid(text)


def test_all_variants_occur() -> None:
    ids = Identities()
    # A batch of 64 shares its variant: one of four is missing in 200 batches once in 10^24 runs.
    assert {ids.request_id()[19] for _ in range(64 * 200)} == set("89ab")


@pytest.mark.parametrize("text", ["", "x", f"{A_UUID}0", A_UUID.replace("-", ""), "\n"])
def test_what_is_no_uuid(text: str) -> None:
    assert not is_uuid(text)


def version() -> FunctionVersion:
    return FunctionVersion(
        "f", "arn", Configuration("m.h", "python3.12", "r"), CodePackage("00", 1), "rev", 0.0
    )


class Watch:
    """Monotonic seconds that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_links_expire() -> None:
    watch = Watch()
    links = CodeLinks(watch)
    url = links.make(version().code, "http://h:1")
    assert url.startswith("http://h:1/_samovar/code/")
    token = url.rpartition("/")[2]
    watch.now = code_links.LIFETIME - 1
    assert links.find(token) == version().code
    watch.now = code_links.LIFETIME
    assert links.find(token) is None
    assert links.find("nonsense") is None


def test_old_links_make_room() -> None:
    links = CodeLinks(Watch())
    first = links.make(version().code, "").rpartition("/")[2]
    for _ in range(10_000):
        last = links.make(version().code, "").rpartition("/")[2]
    assert links.find(first) is None
    assert links.find(last) is not None


@pytest.mark.parametrize(
    ("host", "bound"),
    [("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", "127.0.0.1"), ("127.9.9.9",) * 2],
)
def test_loopback_addresses(host: str, bound: str) -> None:
    assert address_of(host, anywhere=False) == bound


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.1"])
def test_other_addresses_are_refused_unless_they_are_wanted(host: str) -> None:
    with pytest.raises(SettingsError, match="must be a loopback address"):
        address_of(host, anywhere=False)
    assert address_of(host, anywhere=True) == host


@pytest.mark.parametrize("host", ["example.com", "", "127.0.0.1 "])
def test_what_is_no_address_is_refused(host: str) -> None:
    with pytest.raises(SettingsError, match="must be an address such as"):
        address_of(host, anywhere=True)


def test_invoke_knows_the_model() -> None:
    operation = operation_models()["Invoke"]
    path = operation.http["requestUri"].encode()
    assert path == invoke.PREFIX + b"{FunctionName}" + invoke.SUFFIX
    members = operation.input_shape.members
    assert members["InvocationType"].enum == list(invoke.INVOCATION_TYPES)
    assert members["LogType"].enum == list(invoke.LOG_TYPES)
    # A header that a newer model knows and we don't would be accepted and ignored.
    headers = {
        member.serialization["name"].lower().encode()
        for member in members.values()
        if member.serialization.get("location") == "header"
    }
    assert headers <= invoke.MEANT
    query = {
        name
        for name, member in members.items()
        if member.serialization.get("location") == "querystring"
    }
    assert query == {"Qualifier"}


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_name_members_that_exist(name: str) -> None:
    operation = OPERATIONS[name]
    shape = operation_models()[name].input_shape
    for path in (*operation.carried, *operation.defaults):
        at = shape
        for part in path.split("."):
            at = at.members[part]
    assert not operation.carried & set(operation.defaults)
