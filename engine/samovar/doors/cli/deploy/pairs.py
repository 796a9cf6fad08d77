"""KEY=VALUE pairs: from options, and from a file of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click
from dotenv import dotenv_values


def read_pairs(
    context: click.Context, parameter: click.Parameter, given: Iterable[str]
) -> dict[str, str]:
    """A click callback for a repeated option."""
    pairs = {}
    for text in given:
        key, found, value = text.partition("=")
        if not found or not key:
            # A value may be a secret: what has no key is not repeated.
            raise click.BadParameter("write it like KEY=VALUE", context, parameter)
        pairs[key] = value
    return pairs


def read_file(path: Path) -> dict[str, str]:
    """The variables of a .env file, taken literally: nothing is expanded. Raises UsageError."""
    try:
        found = dotenv_values(path, interpolate=False)
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{path} can't be read: {error}") from error
    for key, value in found.items():
        if value is None:
            raise click.UsageError(f"{path}: {key} has no value; write it like {key}=VALUE")
    return {key: value for key, value in found.items() if value is not None}
