"""What one connection and one request may take. These become settings when somebody needs them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bytes and seconds that a client may take before it is cut off.

    `header_bytes`: request line and headers together (AWS's quotas page: 1 MB).
    `header_seconds`: from the first byte of a request (or from connecting) to the end of its
    headers. `body_seconds`: from there to the end of the body; the largest body (70 MB) needs
    5 Mbit/s to make it. `read_seconds`: how long a client may leave a reply untouched.
    `keep_alive_seconds`: how long a connection may wait for its next request; longer than the 60 s
    after which common clients and proxies drop theirs, so that they close first.
    `connections`: how many at once; each costs a descriptor, and contexts need theirs too.
    `pipelined`: requests that may wait behind the one in progress on a connection.
    """

    header_bytes: int = 1024 * 1024
    header_seconds: float = 30.0
    body_seconds: float = 120.0
    read_seconds: float = 60.0
    keep_alive_seconds: float = 75.0
    connections: int = 2048
    pipelined: int = 1000
