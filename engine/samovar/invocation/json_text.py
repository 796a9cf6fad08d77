"""Whether a text is JSON, without making objects of it: 1 MB takes 1.5 ms, and parsing it 19."""

from __future__ import annotations

import re

import msgspec

from samovar_worker.wire.event_json import MAX_DEPTH, too_deep

_decoder = msgspec.json.Decoder(msgspec.Raw)
# Python reads integers of no more digits. Sought from a number's first digit only: from each it
# would take the square of the time.
_LONG_NUMBER = re.compile(rb"(?<![0-9])[0-9]{4301}")


def is_json(text: bytes) -> bool:
    """Whether `text` is JSON in UTF-8; stricter than Python: no NaN, no lone surrogates."""
    try:
        _decoder.decode(text)
        # Within strings the decoder looks at nothing but quotes and escapes.
        if not text.isascii():
            text.decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    # What a worker refuses besides. How deep the decoder goes is the interpreter's affair.
    if len(text) <= MAX_DEPTH:
        return True
    return not too_deep(text) and _LONG_NUMBER.search(text) is None
