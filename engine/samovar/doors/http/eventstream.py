"""AWS's event stream encoding (application/vnd.amazon.eventstream): the writer's half.

botocore has the reader's half; no library on PyPI has this one. A message is a prelude (length of
the whole, length of the headers, CRC of both), the headers, the payload, and a CRC of it all.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from zlib import crc32

CONTENT_TYPE = b"application/vnd.amazon.eventstream"

# What every reader takes: AWS's own write no more than 16 MB (botocore reads 24 MB).
MAX_PAYLOAD = 16 * 1024 * 1024

_LENGTHS = struct.Struct("!II")
_CRC = struct.Struct("!I")
_STRING = 7  # the type of a header's value; the only one that is needed here


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One message. Names of headers may have 255 bytes, values 32767; raises ValueError for more,
    and for a payload over `MAX_PAYLOAD`."""
    if len(payload) > MAX_PAYLOAD:
        raise ValueError(f"a payload of {len(payload)} bytes is more than {MAX_PAYLOAD}")
    block = b"".join(_header(name, value) for name, value in headers.items())
    lengths = _LENGTHS.pack(16 + len(block) + len(payload), len(block))
    head = b"%s%s%s" % (lengths, _CRC.pack(crc32(lengths)), block)
    return b"%s%s%s" % (head, payload, _CRC.pack(crc32(payload, crc32(head))))


def event(kind: str, content_type: str, payload: bytes) -> bytes:
    """The message of an event, as the service model names it."""
    headers = {":event-type": kind, ":content-type": content_type, ":message-type": "event"}
    return message(headers, payload)


def _header(name: str, value: str) -> bytes:
    key, text = name.encode(), value.encode()
    if not 0 < len(key) <= 255 or len(text) > 32767:
        raise ValueError(f"the header {name!r} or its value has no room in an event stream")
    return b"%c%s%c%s%s" % (len(key), key, _STRING, len(text).to_bytes(2), text)
