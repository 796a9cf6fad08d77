"""The event of every benchmark: 100 bytes of JSON, as in `{"key1": "value1", …}` test events."""

from __future__ import annotations

import json

EVENT = json.dumps({"key1": "value1", "key2": 2, "list": [1, 2, 3], "text": "x" * 40})
EVENT_BYTES = EVENT.encode()

assert len(EVENT_BYTES) == 100, len(EVENT_BYTES)
