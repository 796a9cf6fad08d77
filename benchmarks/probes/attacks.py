"""What a neighbour of hostile functions feels."""

from __future__ import annotations

from benchmarks.measures import Batch
from benchmarks.probes.embedded import Calls
from benchmarks.remote import Remote


class CallsBesideAttack(Calls):
    """One warm call after the other, while another function attacks."""

    def __init__(self, remote: Remote) -> None:
        super().__init__(remote, in_flight=1)

    def measure(self, count: int) -> Batch:
        self._remote.ask("beset")
        try:
            return super().measure(count)
        finally:
            self._remote.ask("leave")
