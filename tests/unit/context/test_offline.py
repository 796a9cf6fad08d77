"""Whose contexts have no network, and what they are told where that can't be."""

from __future__ import annotations

import pytest

from samovar.context.offline import ONLINE, WALL, NetworkNotApart, Offline
from samovar.settings import Network, Settings


def test_whose_it_is() -> None:
    some = Offline.of(Settings(offline_functions=("a", "b")))
    everybody = Offline.of(Settings(network=Network.NONE))
    assert [name in some for name in ("a", "b", "ab", "")] == [True, True, False, False]
    assert "whoever" in everybody
    assert "whoever" not in ONLINE
    assert [one.asked for one in (some, everybody, ONLINE)] == [True, True, False]
    assert Offline.of(Settings()) == ONLINE


@pytest.mark.parametrize(
    ("offline", "said"),
    [
        (Offline(True), ("network is none", "with network=host")),
        (Offline(functions=frozenset("f")), ("offline_functions has it", "without its name there")),
    ],
)
def test_who_is_refused_is_told_why_and_what_to_do(offline: Offline, said: tuple[str, ...]) -> None:
    offline.demand("f", [WALL], {})
    with pytest.raises(NetworkNotApart, match="f is to have no network") as refused:
        offline.demand("f", ["pid namespace"], {WALL: "unshare: ENOSPC"})
    for part in (*said, "(unshare: ENOSPC)", "`samovar doctor`"):
        assert part in refused.value.message
    with pytest.raises(NetworkNotApart, match="setns: EPERM"):
        offline.demand("f", [], {"namespaces": "setns: EPERM"})
    ONLINE.demand("f", [], {WALL: "unshare: ENOSPC"})
