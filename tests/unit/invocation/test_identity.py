"""Request ids and trace headers: of AWS's form, each its own."""

from __future__ import annotations

import re
import uuid

from samovar.invocation.identity import Identities, is_uuid

# Reference 1.5.
TRACE = re.compile(
    r"Root=1-(?P<time>[0-9a-f]{8})-(?P<id>[0-9a-f]{24});Parent=(?P<parent>[0-9a-f]{16});"
    r"Sampled=0;Lineage=1:(?P<lineage>[0-9a-f]{8}):0"
)
MANY = 6400  # they are made in batches of 64


def test_request_ids_are_random_uuids_of_version_4() -> None:
    identities = Identities()
    made = [identities.request_id() for _ in range(MANY)]
    assert len(set(made)) == MANY
    for text in made:
        parsed = uuid.UUID(text)
        assert (parsed.version, parsed.variant, str(parsed)) == (4, uuid.RFC_4122, text)
        assert is_uuid(text)


def test_every_free_bit_of_a_request_id_is_random() -> None:
    identities = Identities()
    ones, zeros = 0, 0
    for _ in range(MANY):
        number = uuid.UUID(identities.request_id()).int
        ones |= number
        zeros |= ~number
    fixed = 0xF000 << 64 | 0xC000 << 48
    assert ones & zeros & (2**128 - 1) == (2**128 - 1) & ~fixed


def test_traces_have_awss_form() -> None:
    identities = Identities()
    parts = []
    for number in range(MANY):
        now = 1_767_225_600.75 + number // 10  # the second changes within a batch, too
        match = TRACE.fullmatch(identities.trace(now))
        assert match
        assert int(match["time"], 16) == int(now)
        parts.append(match)
    for group in ("id", "parent"):
        assert len({match[group] for match in parts}) == MANY
    assert len({match["lineage"] for match in parts}) > 1


def test_ids_and_traces_in_turn() -> None:
    """As invocations take them; both are cut from the same digits."""
    identities = Identities()
    ids, roots = set(), set()
    for _ in range(MANY):
        ids.add(identities.request_id())
        match = TRACE.fullmatch(identities.trace(0.0))
        assert match
        roots.add(match["id"])
    assert len(ids) == len(roots) == MANY


def test_a_trace_keeps_its_form_where_numbers_are_small_or_large() -> None:
    assert TRACE.fullmatch(Identities().trace(0.0))
    assert TRACE.fullmatch(Identities().trace(2**32 - 1))


def test_two_engines_share_nothing() -> None:
    one, other = Identities(), Identities()
    assert one.request_id()[:8] != other.request_id()[:8]
