"""What connections and requests may take. These become settings when somebody needs them."""

from __future__ import annotations

from dataclasses import dataclass

from samovar.model.limits import DEPLOY_REQUEST_SIZE

# Bytes of a request's target: what httptools takes apart. AWS's quotas page has no number for it;
# the longest that an operation asks for (50 tag keys) is a third of this.
LONGEST_TARGET = 65_535


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Bytes and seconds that a client may take before it is cut off.

    `header_bytes`: request line and headers together (AWS's quotas page: 1 MB).
    `headers`: how many a request may have; each costs ten times its bytes while it is looked at.
    `body_bytes`: past what an operation takes, a body is read on and dropped, so that its client
    hears the answer; nobody sends this much by mistake.
    `incoming_bytes`: what incomplete requests may hold of memory, all of them together.
    `working_bytes`: what large bodies may hold that are complete and wait for their operation, or
    are in it, all of them together.
    `unread_bytes`: what replies may hold that their clients do not read, all of them together.
    `header_seconds`: from the first byte of a request (or from connecting) to the end of its
    headers. `body_seconds`: from there to the end of the body; the largest body (70 MB) needs
    5 Mbit/s to make it. `read_seconds`: in so long a client must take `read_bytes` of a reply that
    waits for it. `linger_seconds`: how long a refused client is listened to, so that what it still
    sends does not take the answer away from it.
    `keep_alive_seconds`: how long a connection may wait for its next request; longer than the 60 s
    after which common clients and proxies drop theirs, so that they close first.
    `connections`: how many at once; each costs a descriptor, and contexts need theirs too.
    `pipelined`: requests that may wait behind the one in progress on a connection.
    """

    header_bytes: int = 1024 * 1024
    headers: int = 2000
    body_bytes: int = 4 * DEPLOY_REQUEST_SIZE
    incoming_bytes: int = 8 * DEPLOY_REQUEST_SIZE
    working_bytes: int = 8 * DEPLOY_REQUEST_SIZE
    unread_bytes: int = 512 * 1024 * 1024
    header_seconds: float = 30.0
    body_seconds: float = 120.0
    read_seconds: float = 60.0
    read_bytes: int = 64 * 1024
    linger_seconds: float = 2.0
    keep_alive_seconds: float = 75.0
    connections: int = 2048
    pipelined: int = 1000
