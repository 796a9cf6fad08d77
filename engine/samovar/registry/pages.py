"""Lists in pages, as AWS's: at most 50 entries each, and a marker for what comes after."""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_right
from collections.abc import Sequence
from typing import NamedTuple

from samovar.errors import AWS, ClientError
from samovar.model import limits
from samovar.registry import rules

_FORM = "1/"  # the form of a marker's content


class Page(NamedTuple):
    """Some names; `next_marker` is None on the last page."""

    names: Sequence[str]
    next_marker: str | None


def page(names: Sequence[str], marker: str | None, max_items: int | None, operation: str) -> Page:
    """The first of the sorted `names` after `marker`, at most `max_items`.

    Raises ClientError for a marker that is not one of `operation`, and unless `max_items` is
    between 1 and 10000.
    """
    count = page_size(max_items)
    start = bisect_right(names, marker_key(marker, operation)) if marker else 0
    found = names[start : start + count]
    more = start + count < len(names)
    return Page(found, marker_of(found[-1]) if more else None)


def page_size(max_items: int | None) -> int:
    """How many items a page may have; raises ClientError unless `max_items` is between 1 and
    10000."""
    if max_items is not None:
        rules.check_range("maxItems", max_items, (1, limits.LIST_MAX_ITEMS))
    return min(max_items or limits.LIST_PAGE, limits.LIST_PAGE)


def marker_of(key: str) -> str:
    """The NextMarker of a page whose last item has `key`.

    A marker is a key and not a position: what comes and goes in between moves nothing.
    """
    return base64.urlsafe_b64encode((_FORM + key).encode()).decode()


def marker_key(text: str, operation: str) -> str:
    """The key in an earlier page's marker; raises ClientError if `operation` never gave it."""
    try:
        content = base64.b64decode(text.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, UnicodeError):
        content = ""
    if not content.startswith(_FORM):
        raise not_given(operation)
    return content.removeprefix(_FORM)


def not_given(operation: str) -> ClientError:
    """The error for a marker that is not one of `operation`'s."""
    return ClientError(
        AWS.INVALID_PARAMETER,
        f"The Marker is not one that {operation} gave: pass an earlier NextMarker.",
    )
