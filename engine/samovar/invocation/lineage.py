"""Loops, seen by the trace header: how often a chain of calls has come by a function.

boto3 in a function hands the header of its own invocation on with each call, so that a chain of
calls has one header, and `Lineage` in it counts: `Lineage=1:<function>:<count>`, more of them
divided by commas where several functions call each other. That AWS counts there is known; how it
writes several functions is not, and nobody but the counter reads it.
"""

from __future__ import annotations

from zlib import crc32

# AWS: «if your function is invoked approximately 16 times in the same chain of requests».
LIMIT = 16

_KEY = "Lineage="


def follow(trace: str, function_arn: str) -> tuple[str, int]:
    """The header that an invocation of a function gets which came with `trace`, and how often the
    chain has been there before."""
    own = f"1:{crc32(function_arn.encode()):08x}:"
    parts = trace.split(";")
    at = next((at for at, part in enumerate(parts) if part.startswith(_KEY)), None)
    if at is None:
        return f"{trace};{_KEY}{own}0", 0
    entries = parts[at][len(_KEY) :].split(",")
    for place, entry in enumerate(entries):
        if entry.startswith(own):
            count = _count(entry[len(own) :]) + 1
            entries[place] = f"{own}{count}"
            break
    else:
        # The first of a chain is not marked by its own name: its header was made for nobody yet.
        count = 1
        entries.append(f"{own}1")
    parts[at] = _KEY + ",".join(entries)
    return ";".join(parts), count


def seen(trace: str, function_arn: str) -> int:
    """How often the chain that a header belongs to had been at a function, as `follow` wrote it."""
    own = f"1:{crc32(function_arn.encode()):08x}:"
    for part in trace.split(";"):
        if part.startswith(_KEY):
            for entry in part[len(_KEY) :].split(","):
                if entry.startswith(own):
                    return _count(entry[len(own) :])
    return 0


def forgotten(trace: str) -> str:
    """The header as that of a chain which has been nowhere yet."""
    return ";".join(part for part in trace.split(";") if not part.startswith(_KEY))


def _count(text: str) -> int:
    """The number in a header, which may hold anything."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
