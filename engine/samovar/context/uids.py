"""A uid for each context of an engine that is root's, and when it is another's. Pure."""

from __future__ import annotations

from collections import deque

from samovar.errors import EngineError


class Uids:
    """Those of a range, one owner each."""

    def __init__(self, numbers: range) -> None:
        self.numbers = numbers
        self._fresh = iter(numbers)
        # The last that came back is the next to go: low ones stand first in /etc/passwd.
        self._free: list[int] = []
        self._doubtful: deque[int] = deque()

    def take(self) -> int:
        """One that is nobody's. Raises EngineError if there is none."""
        if self._free:
            return self._free.pop()
        fresh = next(self._fresh, None)
        if fresh is not None:
            return fresh
        if self._doubtful:
            return self._doubtful.popleft()
        first, last = self.numbers[0], self.numbers[-1]
        raise EngineError(
            f"no context can be made: each of the {len(self.numbers)} uids of worker_uids "
            f"({first}-{last}) is one's already; name more, or lower max_contexts"
        )

    def give_back(self, uid: int) -> None:
        """Nothing that was its owner's is left."""
        self._free.append(uid)

    def give_back_later(self, uid: int) -> None:
        """Nothing will be left in a moment, and nobody says when: it is taken after all others,
        and the one that came first before the one that came last."""
        self._doubtful.append(uid)


class _Tenant:
    __slots__ = ("alive", "discarded", "uid")

    def __init__(self, uid: int) -> None:
        self.uid = uid
        self.alive = True  # there is a process, or one was asked for
        self.discarded = False


class Tenants:
    """Which uid each context of one zygote has, from before its fork until nothing of it is left:
    no process, and no mounts that another could be forked into."""

    def __init__(self, uids: Uids | None) -> None:
        """Without any, all stay who they are."""
        self._uids = uids
        self._by_number: dict[int, _Tenant] = {}

    def enter(self, number: int) -> None:
        """Have one for this context. Raises EngineError if there is none."""
        if self._uids is not None:
            self._by_number[number] = _Tenant(self._uids.take())

    def uid(self, number: int) -> int:
        """A process of this context is asked for: whose it will be; 0: it stays who it is."""
        tenant = self._by_number.get(number)
        if tenant is None:
            return 0
        tenant.alive = True
        return tenant.uid

    def ended(self, number: int, mounts_kept: bool) -> None:
        """The process is reaped with all that it started, or there never was one."""
        tenant = self._by_number.get(number)
        if tenant is not None:
            tenant.alive = False
            if tenant.discarded or not mounts_kept:
                self._leave(number)

    def discarded(self, number: int) -> None:
        """Nobody will ask for another process, and the zygote has been told."""
        tenant = self._by_number.get(number)
        if tenant is not None:
            tenant.discarded = True
            if not tenant.alive:
                self._leave(number)

    def lost(self) -> None:
        """The zygote is gone: what it forked dies with it."""
        if self._uids is not None:
            for tenant in self._by_number.values():
                self._uids.give_back_later(tenant.uid)
        self._by_number.clear()

    def _leave(self, number: int) -> None:
        assert self._uids is not None
        self._uids.give_back(self._by_number.pop(number).uid)
