"""Links to code packages, as GetFunction gives them: random, short-lived, kept in memory."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable

from samovar.model.function import CodePackage

PATH = "/_samovar/code/"

LIFETIME = 600.0  # seconds; the link that AWS gives is good for ten minutes (API reference)
_MOST = 10_000  # links at once; the oldest make room


class CodeLinks:
    """Which package a token stands for. `monotonic` gives seconds."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        # All live equally long, so the order of making is the order of expiring.
        self._links: dict[str, tuple[float, CodePackage]] = {}

    def make(self, code: CodePackage, base_url: str) -> str:
        """A URL below `base_url` (`http://host:port`) that gives the zip of `code`."""
        now = self._monotonic()
        self._forget(now)
        token = secrets.token_urlsafe(32)
        self._links[token] = (now + LIFETIME, code)
        return f"{base_url}{PATH}{token}"

    def find(self, token: str) -> CodePackage | None:
        """The package that `token` gives; None if the link has expired."""
        self._forget(self._monotonic())
        found = self._links.get(token)
        return None if found is None else found[1]

    def _forget(self, now: float) -> None:
        while self._links:
            token = next(iter(self._links))
            if self._links[token][0] > now and len(self._links) < _MOST:
                return
            del self._links[token]
