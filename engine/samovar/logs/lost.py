"""What of the logs was lost, where and why: counted, never silent."""

from __future__ import annotations

from collections.abc import Mapping

# Where records are lost, and by what. Fixed words: they are labels of a metric.
WRITER, FILES, CLOUDWATCH = "writer", "files", "cloudwatch"
TOO_FAST = "written faster than they can be kept"
DISK = "the disk refuses them"
REFUSED = "refused by CloudWatch Logs"
STOPPED = "the engine stopped"


class Lost:
    """Counts records by place and reason. Each place counts in one thread; anybody may read."""

    def __init__(self) -> None:
        self._counts: dict[tuple[str, str], int] = {}

    def add(self, place: str, reason: str, records: int) -> None:
        key = (place, reason)
        self._counts[key] = self._counts.get(key, 0) + records

    def counts(self) -> Mapping[tuple[str, str], int]:
        """Records lost so far, by place and reason."""
        return dict(self._counts)
