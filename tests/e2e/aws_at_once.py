"""The AWS CLI without its start: a second of imports and models, sixty times on one page.

A process imports the CLI once and forks for each command; the child is what `aws` is after those
imports, with the arguments, the directory, the environment and the files of whoever asks, and runs
the program `aws` of this environment itself. Who asks is an `aws` that is put first in PATH.
"""

from __future__ import annotations

import json
import os
import runpy
import socket
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.process.programs import Program

AWS = Path(sys.executable).with_name("aws")
_CLIENT = """\
#!{python} -IS
import json, os, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({place!r})
    told = json.dumps([sys.argv[1:], os.getcwd(), dict(os.environ)])
    socket.send_fds(server, [b"%08d" % len(told)], [0, 1, 2])
    server.sendall(told.encode())
    os._exit(int(server.recv(8) or b"255"))
"""


@contextmanager
def in_path(directory: Path) -> Iterator[str]:
    """A directory for PATH, with such an `aws`; made in `directory`."""
    bin_directory = directory / "bin"
    bin_directory.mkdir()
    place = str(directory / "aws.socket")
    program = bin_directory / "aws"
    program.write_text(_CLIENT.format(python=sys.executable, place=place))
    program.chmod(0o755)
    with Program("-m", "tests.e2e.aws_at_once", place) as server:
        assert server.line() == "ready"
        yield str(bin_directory)


def main(place: str) -> None:
    before = dict(os.environ)
    import awscli.clidriver
    import awscli.handlers  # noqa: F401 - and all the customizations that it loads

    # Where its models are it tells in the environment.
    imported = {name: value for name, value in os.environ.items() if before.get(name) != value}
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(place)
        server.listen()
        print("ready", flush=True)
        while True:
            asking, _ = server.accept()
            with asking:
                pid = os.fork()
                if pid == 0:
                    server.close()
                    _be_aws(asking, imported)
            os.waitpid(pid, 0)  # one after the other, as a shell has them


def _be_aws(asking: socket.socket, imported: dict[str, str]) -> None:
    """Run the command that `asking` tells of, and say with what it ended."""
    code = 255
    try:
        size, files, _, _ = socket.recv_fds(asking, 8, 3)
        with asking.makefile("rb") as told:
            arguments, directory, environment = json.loads(told.read(int(size)))
        for number, file in enumerate(files):
            os.dup2(file, number)
            os.close(file)
        os.chdir(directory)
        os.environ.clear()
        os.environ.update(environment | imported)
        sys.argv = [str(AWS), *arguments]
        code = _ended_with()
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        asking.sendall(b"%d" % code)
        os._exit(code)


def _ended_with() -> int:
    try:
        runpy.run_path(str(AWS), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 0 if end.code is None else 1
    return 0


if __name__ == "__main__":
    main(*sys.argv[1:])
