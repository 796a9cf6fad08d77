"""Which functions have no network, and what becomes of them where the host can't do that. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Self

from samovar.errors import EngineError
from samovar.settings import Network, Settings

WALL = "network namespace"  # as workers call it


class NetworkNotApart(EngineError):
    """A function is to have no network, and this host can't keep its own from it: nothing runs."""


@dataclass(frozen=True, slots=True)
class Offline:
    """All functions, or those of these names."""

    everybody: bool = False
    functions: frozenset[str] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.network is Network.NONE, frozenset(settings.offline_functions))

    @property
    def asked(self) -> bool:
        """Whether anybody is to be."""
        return self.everybody or bool(self.functions)

    def __contains__(self, name: str) -> bool:
        """Whether the function of this name is."""
        return self.everybody or name in self.functions

    def demand(self, name: str, held: Collection[str], missing: Mapping[str, str]) -> None:
        """Raises NetworkNotApart for an offline function where walls are as these."""
        if name not in self or WALL in held:
            return
        asked = "network is none" if self.everybody else "offline_functions has it"
        unasked = "with network=host" if self.everybody else "without its name there"
        why = missing.get(WALL) or missing.get("namespaces") or "they were not tried"
        raise NetworkNotApart(
            f"{name} is to have no network ({asked}), and contexts get no network namespaces here "
            f"({why}). It does not run with the host's: start the engine where `samovar doctor` "
            f"finds that this wall holds, or {unasked}."
        )


ONLINE = Offline()
