"""What happened, as told from outside of all engines, and what must have happened."""

from __future__ import annotations

import json
import socket
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

GOOD = ("good", "good-bus")
BAD = ("bad", "bad-s3")


class Listener:
    """Takes in what handlers say, whenever it is asked to: until then the kernel keeps it."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self._socket.setblocking(False)
        self.port: int = self._socket.getsockname()[1]

    def heard(self) -> Iterator[tuple[str, str, str]]:
        """All that was said since the last time: a word, a request id and an event's number."""
        while True:
            try:
                connection, _ = self._socket.accept()
            except BlockingIOError:
                return
            with connection:
                connection.settimeout(1.0)
                try:
                    said = connection.makefile("rb").readline()
                except TimeoutError:
                    continue  # it was killed before it could say anything
            if said.endswith(b"\n"):
                word, request_id, number = json.loads(said)
                yield word, request_id, number

    def close(self) -> None:
        self._socket.close()


@dataclass
class Record:
    """By the number of an event (`good:17`): its request id once it was accepted, the request ids
    of its runs, and what was delivered of it."""

    accepted: dict[str, str] = field(default_factory=dict)
    runs: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    delivered: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    shaken: set[str] = field(default_factory=set)

    def hear(self, listener: Listener) -> None:
        for word, request_id, number in listener.heard():
            if word == "ran":
                self.runs[number].append(request_id)
            else:
                self.delivered[number].append(f"record {word}")

    def shake(self) -> None:
        """Workers were killed: an attempt may have ended before its handler could say anything."""
        self.shaken.update(self.accepted)

    def lost(self) -> list[str]:
        """What should have happened and has not, in words."""
        return [
            f"{number} ({request_id}): {what}"
            for number, request_id in self.accepted.items()
            for what in self._missing(number, request_id)
        ]

    def more_than_once(self) -> int:
        """Runs and deliveries beyond those that were asked for: at least once is the promise."""
        runs = sum(
            len(ids) - (1 if number.startswith("good") else 3) for number, ids in self.runs.items()
        )
        return runs + sum(len(words) - len(set(words)) for words in self.delivered.values())

    def _missing(self, number: str, request_id: str) -> Iterator[str]:
        runs, delivered = self.runs[number], set(self.delivered[number])
        good = number.startswith("good")
        if len(runs) < (1 if good or number in self.shaken else 3):
            yield f"was run {len(runs)} times only"
        if set(runs) - {request_id}:
            yield f"was run under other request ids: {set(runs) - {request_id}}"
        wanted = {"record Success"} if good else {"record RetriesExhausted", "dead letter"}
        for one in sorted(wanted - delivered):
            yield f"no {one}, but {sorted(delivered) or 'nothing'}"
