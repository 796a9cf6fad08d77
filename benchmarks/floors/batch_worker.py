"""Reads batches of records, a line of JSON each, does nothing with them, and answers each."""

from __future__ import annotations

import json
import sys


def main() -> None:
    for line in sys.stdin.buffer:
        json.loads(line)
        print(json.dumps(None), flush=True)


if __name__ == "__main__":
    main()
