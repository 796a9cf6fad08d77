"""docs/cli.md, made of the commands themselves: `python -m samovar.doors.cli.reference`."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from dataclasses import fields

import click

from samovar.doors.cli.exits import MEANING
from samovar.doors.cli.main import NAMES, command
from samovar.settings import Settings

_SETTINGS = frozenset(item.name for item in fields(Settings))
_INTRODUCTION = """\
# The command line

This page is made by `python -m samovar.doors.cli.reference > docs/cli.md`; `samovar COMMAND --help`
says the same.

Results go to stdout, everything else to stderr. Commands with `--json` print one JSON document (of
`start` it is one line). Where stdout is no terminal, or `NO_COLOR` is set, there are no colours;
progress bars are shown on terminals only. `samovar start` says on its first line of stdout where it
listens, once it does: with `--port 0 --json` a script reads the port from there.

Commands that talk to an engine find it by `--endpoint-url`, then `AWS_ENDPOINT_URL_LAMBDA`, then
`SAMOVAR_PORT` on this machine, then at `http://127.0.0.1:4566`.

Every command ends with one of these exit codes:
"""


def markdown() -> str:
    """The whole page."""
    parts = [_INTRODUCTION, "| code | meaning |\n| --- | --- |"]
    parts += [f"| {code.value} | {meaning} |" for code, meaning in MEANING.items()]
    text = "\n".join(parts) + "\n"
    for name in NAMES:
        for path, shown in with_subcommands(name, command(name)):
            text += "\n" + "\n\n".join(_section(path, shown)) + "\n"
    return text


def with_subcommands(name: str, shown: click.Command) -> Iterator[tuple[str, click.Command]]:
    """A command, and those below it, by what is typed for them."""
    yield name, shown
    if isinstance(shown, click.Group):
        for below in shown.commands.values():
            yield from with_subcommands(f"{name} {below.name}", below)


def _section(name: str, shown: click.Command) -> Iterator[str]:
    yield f"## samovar {name}"
    arguments = [item for item in shown.params if isinstance(item, click.Argument)]
    options = [item for item in shown.params if isinstance(item, click.Option)]
    usage = " ".join(item.metavar or str(item.name).upper() for item in arguments)
    if isinstance(shown, click.Group):
        usage = "COMMAND"
    yield f"`samovar {name} [OPTIONS] {usage}".rstrip() + "`"
    yield from (_wrapped(part) for part in inspect.cleandoc(shown.help or "").split("\n\n"))
    own = [item for item in options if item.name not in _SETTINGS]
    if len(options) - len(own) == 1:  # one setting is shown like any option
        own = options
    if own:
        rows = [f"| {_option(item)} | {_meaning(item)} |" for item in own]
        yield "\n".join(["| option | meaning |", "| --- | --- |", *rows])
    if len(own) < len(options):
        yield "Every [setting](settings.md) is a flag, too."
    yield from _epilog(shown.epilog or "")


def _option(option: click.Option) -> str:
    names = ", ".join(f"`{name}`" for name in option.opts)
    if option.is_flag:
        return names
    return f"{names} `{option.metavar or option.type.name.upper()}`"


def _meaning(option: click.Option) -> str:
    text = " ".join((option.help or "").split()).replace("|", "\\|")
    return f"{text} [default: {option.default}]" if option.show_default else text


def _epilog(epilog: str) -> Iterator[str]:
    """Examples as blocks of code, the rest as paragraphs."""
    for block in re.split(r"\n\n|\x08\n", epilog):
        heading, _, rest = block.strip("\n").partition("\n")
        if heading.endswith(":") and rest.startswith("  "):
            lines = "\n".join(line.removeprefix("  ") for line in rest.rstrip().splitlines())
            yield f"```console\n{lines}\n```"
        elif block.strip():
            yield _wrapped(block)


def _wrapped(text: str) -> str:
    return textwrap.fill(
        " ".join(text.split()), 100, break_long_words=False, break_on_hyphens=False
    )


if __name__ == "__main__":
    click.echo(markdown(), nl=False)
