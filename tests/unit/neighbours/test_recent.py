"""What was asked for last is kept."""

from __future__ import annotations

from samovar.neighbours.recent import Recent


def test_what_was_asked_for_the_longest_ago_goes() -> None:
    kept: Recent[str, int] = Recent(2)
    kept.put("a", 1)
    kept.put("b", 2)
    assert kept.get("a") == 1
    kept.put("c", 3)
    assert (kept.get("a"), kept.get("b"), kept.get("c")) == (1, None, 3)
    kept.put("a", 4)
    kept.put("d", 5)
    assert list(kept) == [4, 5]
    kept.forget("b")
    kept.forget("d")
    assert list(kept) == [4]
    kept.clear()
    assert len(kept) == 0


def test_what_is_in_use_goes_later() -> None:
    used = {1}
    kept: Recent[str, int] = Recent(1, used.__contains__)
    kept.put("a", 1)
    kept.put("b", 2)
    assert list(kept) == [1, 2]  # nothing else could go, and whoever put it wants it
    used.clear()
    kept.put("c", 3)
    assert list(kept) == [3]
