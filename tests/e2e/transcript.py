"""Pages with transcripts: their commands are run in one shell, and their output is compared.

A `console` block has lines of `$ command`, of `> more of it`, and of what the command said.
`python -m tests.e2e.transcript docs/aws-cli.md` writes down what is said now.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(r"```console\n(?P<lines>.*?)```\n", re.DOTALL)
_PATIENCE = 180.0  # seconds; only a command that hangs takes them
_END = "end of the command, exit code "

# What is never the same twice, and what pages show in its place.
_PLACEHOLDERS = (
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "<id>"),
    (re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+0000"), "<time>"),
    (re.compile(r'"LastModified": \d{10}[0-9.]*'), '"LastModified": <time>'),
    (re.compile(r'"CodeSha256": "[^"]+"'), '"CodeSha256": "<hash>"'),
    (re.compile(r"::runtime:[0-9a-f]{64}"), "::runtime:<hash>"),
    (re.compile(r"Duration: [0-9.]+ ms"), "Duration: <n> ms"),
    (re.compile(r"Max Memory Used: [0-9]+ MB"), "Max Memory Used: <n> MB"),
)


@dataclass(frozen=True)
class Said:
    """A command and what it said, each line with its end."""

    command: str
    output: str

    def text(self) -> str:
        """As a page has it."""
        first, *more = self.command.splitlines()
        continued = "".join(f"> {line}".rstrip() + "\n" for line in more)
        return f"$ {first}\n{continued}{self.output}"


def commands(lines: str) -> Iterator[Said]:
    """What a transcript says, command by command."""
    for part in re.split(r"^\$ ", lines, flags=re.MULTILINE)[1:]:
        first, *others = part.splitlines()
        count = next((at for at, line in enumerate(others) if line[:1] != ">"), len(others))
        more = [line[2:] for line in others[:count]]
        output = "".join(f"{line}\n" for line in others[count:])
        yield Said("\n".join([first, *more]), output)


def play(
    given: list[Said], directory: Path, environment: Mapping[str, str], swap: Mapping[str, str]
) -> list[Said]:
    """What the commands say now, one after the other in one shell in `directory`.

    `swap`: what stands for what, the page's word to the one that is true here.
    """
    script = "".join(
        f"{{ {there(said.command, swap)}\n}} 2>&1 </dev/null\necho '{_END}'$?\n" for said in given
    )
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=directory,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=_PATIENCE,
    )
    outputs = re.split(rf"{_END}\d+\n", done.stdout)
    assert len(outputs) == len(given) + 1, done.stdout
    return [
        Said(said.command, back(output, swap)) for said, output in zip(given, outputs, strict=False)
    ]


def there(text: str, swap: Mapping[str, str]) -> str:
    for word, true in swap.items():
        text = text.replace(word, true)
    return text


def back(output: str, swap: Mapping[str, str]) -> str:
    """`output` as a page shows it: with placeholders, and without the blanks at ends of lines."""
    for word, true in swap.items():
        output = output.replace(true, word)
    for pattern, placeholder in _PLACEHOLDERS:
        output = pattern.sub(placeholder, output)
    lines = [line.rstrip() for line in output.splitlines()]
    while lines and not lines[0]:  # version 1 of the AWS CLI begins an error with an empty line
        del lines[0]
    return "".join(f"{line}\n" for line in lines)


def replayed(page: str, played: list[Said]) -> str:
    """`page` with what was `played` in the place of what it says."""
    left = list(played)
    out, at = [], 0
    for block in _BLOCK.finditer(page):
        count = len(list(commands(block["lines"])))
        out += [page[at : block.start("lines")], *(said.text() for said in left[:count])]
        del left[:count]
        at = block.end("lines")
    return "".join([*out, page[at:]])


def given_by(page: str) -> list[Said]:
    """All commands of a page, in order."""
    return [said for block in _BLOCK.finditer(page) for said in commands(block["lines"])]


def environment(base: Mapping[str, str]) -> dict[str, str]:
    """For the shell: the programs of this very Python first, and nothing but English."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{base['PATH']}"
    return {**base, "PATH": path, "LC_ALL": "C.UTF-8", "AWS_PAGER": ""}


def main(path: str) -> None:
    """Rewrite the page."""
    from tests.e2e.conftest import served
    from tests.e2e.test_aws_cli import beside, swap

    page = Path(path)
    text = page.read_text()
    with (
        tempfile.TemporaryDirectory() as place,
        beside(Path(place)) as flags,
        served(Path(place) / "data", *flags) as engine,
    ):
        given = given_by(text)
        played = play(given, Path(place), environment(engine.environment()), swap(engine))
        page.write_text(replayed(text, played))


if __name__ == "__main__":
    main(*sys.argv[1:])
