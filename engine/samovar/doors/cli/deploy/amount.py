"""Options whose value is a number, or `none` to take away what there is."""

from __future__ import annotations

from collections.abc import Callable

import click

from samovar.doors.cli.deploy.plan import Amount

Callback = Callable[[click.Context, click.Parameter, str | None], Amount | None]


def read_amount(least: int) -> Callback:
    """A click callback: whole numbers from `least` on, and the word none; None if not given."""

    def read(context: click.Context, parameter: click.Parameter, text: str | None) -> Amount | None:
        if text is None:
            return None
        if text == "none":
            return Amount(None)
        if not (text.isascii() and text.isdecimal()) or int(text) < least:
            reason = f"{text!r} is neither a whole number from {least} on nor the word none"
            raise click.BadParameter(reason, context, parameter)
        return Amount(int(text))

    return read
