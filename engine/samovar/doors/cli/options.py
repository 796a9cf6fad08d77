"""Every field of Settings as a flag: made from the one table, never written down twice."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import MISSING, Field, fields
from pathlib import Path
from typing import Any, TypeVar

import click

from samovar.doors.cli.exits import failures
from samovar.errors import SettingsError
from samovar.settings import PREFIX, Settings, parse

Command = TypeVar("Command", bound=Callable[..., Any])


def _read(_: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """A setting's text form, parsed by the settings themselves; None where it wasn't given."""
    if text is None:
        return None
    try:
        return parse(str(parameter.name), text)
    except SettingsError as error:
        raise click.BadParameter(str(error)) from error


def flag(name: str) -> str:
    """The flag of a setting: `data_dir` → `--data-dir`."""
    return "--" + name.replace("_", "-")


def default_text(item: Field[Any]) -> str:
    """A setting's default as a user would write it; the home directory as `~`."""
    value = item.default if item.default is not MISSING else _made(item)
    if isinstance(value, Path):
        home = str(Path.home())
        text = str(value)
        return "~" + text.removeprefix(home) if text.startswith(home) else text
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if value not in ({}, "", (), None) else "not set"


def _made(item: Field[Any]) -> Any:
    assert item.default_factory is not MISSING
    return item.default_factory()


def setting_flags(*, leave_out: Collection[str] = ()) -> Callable[[Command], Command]:
    """A decorator that gives a command a flag for each setting."""

    def decorate(command: Command) -> Command:
        for item in reversed(fields(Settings)):
            if item.name in leave_out:
                continue
            help_text = (
                f"{item.metadata['help']}  [{PREFIX}{item.name.upper()}; "
                f"default: {default_text(item)}]"
            )
            # A switch may be given without a word, which means on.
            switch: dict[str, Any] = {"is_flag": False, "flag_value": "on", "metavar": "[on|off]"}
            option = click.option(
                flag(item.name),
                item.name,
                callback=_read,
                help=help_text,
                **(switch if item.type == "bool" else {"metavar": "VALUE"}),
            )
            command = option(command)
        return command

    return decorate


def read_settings(
    flags: dict[str, Any], defaults: Mapping[str, str] | None = None, **fixed: Any
) -> Settings:
    """Settings from the environment, then the flags, then what the command itself needs.

    `defaults` are variables that count where the environment has none.

    Ends the command with exit code 5 where one is wrong.
    """
    with failures():
        given = {name: value for name, value in flags.items() if value is not None}
        environment = {**(defaults or {}), **os.environ}
        return Settings.from_environment(environment, **{**given, **fixed})


def markdown_table() -> str:
    """The table of docs/settings.md, without a trailing newline."""
    lines = ["| flag | environment variable | default | meaning |", "| --- | --- | --- | --- |"]
    lines += [
        f"| `{flag(item.name)}` | `{PREFIX}{item.name.upper()}` | `{default_text(item)}` "
        f"| {item.metadata['help']} |"
        for item in fields(Settings)
    ]
    return "\n".join(lines)
