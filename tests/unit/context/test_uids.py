"""A uid is one context's, from before its fork until nothing of it is left."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from samovar.context.uids import Tenants, Uids
from samovar.errors import EngineError

FEW = 4


class Zygotes(RuleBasedStateMachine):
    """Two zygotes that share the uids of one engine; `theirs` is what can still be somebody's."""

    def __init__(self) -> None:
        super().__init__()
        self.uids = Uids(range(500, 500 + FEW))
        self.tenants = [Tenants(self.uids), Tenants(self.uids)]
        self.count = 0
        # (zygote, number) -> [uid, whether there is a process, whether it was discarded]
        self.there: dict[tuple[int, int], tuple[int, bool, bool]] = {}

    @rule(zygote=st.integers(0, 1))
    def fork(self, zygote: int) -> None:
        self.count += 1
        if len(self.there) == FEW:
            with pytest.raises(
                EngineError, match="each of the 4 uids of worker_uids \\(500-503\\)"
            ):
                self.tenants[zygote].enter(self.count)
            return
        self.tenants[zygote].enter(self.count)
        uid = self.tenants[zygote].uid(self.count)
        self.there[zygote, self.count] = (uid, True, False)

    @rule(data=st.data(), kept=st.booleans())
    def end(self, data: st.DataObject, kept: bool) -> None:
        living = [key for key, (_, alive, _) in self.there.items() if alive]
        if living:
            key = data.draw(st.sampled_from(living))
            uid, _, discarded = self.there[key]
            self.tenants[key[0]].ended(key[1], kept)
            if kept and not discarded:
                self.there[key] = (uid, False, False)
            else:
                del self.there[key]

    @rule(data=st.data())
    def discard(self, data: st.DataObject) -> None:
        if self.there:
            key = data.draw(st.sampled_from(list(self.there)))
            uid, alive, _ = self.there[key]
            self.tenants[key[0]].discarded(key[1])
            if alive:
                self.there[key] = (uid, True, True)
            else:
                del self.there[key]

    @rule(data=st.data())
    def revive(self, data: st.DataObject) -> None:
        dead = [key for key, (_, alive, _) in self.there.items() if not alive]
        if dead:
            key = data.draw(st.sampled_from(dead))
            uid, _, _ = self.there[key]
            assert self.tenants[key[0]].uid(key[1]) == uid
            self.there[key] = (uid, True, False)

    @rule(zygote=st.integers(0, 1))
    def lose(self, zygote: int) -> None:
        self.tenants[zygote].lost()
        self.there = {key: value for key, value in self.there.items() if key[0] != zygote}

    @invariant()
    def nobody_shares(self) -> None:
        given = [uid for uid, _, _ in self.there.values()]
        assert len(set(given)) == len(given)
        assert set(given) <= set(self.uids.numbers)


TestZygotes = Zygotes.TestCase
TestZygotes.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)


def test_a_dead_zygotes_uids_are_taken_last() -> None:
    """Its contexts may take a moment to die."""
    uids = Uids(range(10, 13))
    lost, other = Tenants(uids), Tenants(uids)
    lost.enter(1)
    other.enter(2)
    lost.lost()
    other.ended(2, mounts_kept=False)
    taken = []
    for number in (3, 4, 5):
        other.enter(number)
        taken.append(other.uid(number))
    assert taken == [11, 12, 10]


def test_what_is_said_of_others_changes_nothing() -> None:
    tenants = Tenants(Uids(range(10, 11)))
    tenants.ended(7, mounts_kept=False)
    tenants.discarded(7)
    tenants.enter(1)
    assert tenants.uid(1) == 10
    assert tenants.uid(7) == 0


def test_without_uids_all_stay_who_they_are() -> None:
    tenants = Tenants(None)
    for number in range(3):
        tenants.enter(number)
        assert tenants.uid(number) == 0
        tenants.discarded(number)
    tenants.lost()
