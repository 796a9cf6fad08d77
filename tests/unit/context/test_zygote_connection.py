"""What a zygote's packets come to where the engine is short of descriptors."""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from tests.unit.wire.samples import LAUNCH

from samovar.context import process
from samovar.context.zygote import Zygote
from samovar.errors import EngineError
from samovar_worker.wire import control

HELLO = control.Hello([], {}, "3.11.0", False)


@dataclass
class Listener:
    """Writes down what it is told."""

    told: list[tuple[str, object]] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def _tell(self, what: str, value: object) -> None:
        self.told.append((what, value))
        self.changed.set()

    def process_forked(self, pidfd: int) -> None:
        os.close(pidfd)
        self._tell("forked", None)

    def process_refused(self, reason: str) -> None:
        self._tell("refused", reason)

    def process_exited(self, exited: control.Exited) -> None:
        self._tell("exited", exited)

    def zygote_lost(self, reason: str) -> None:
        self._tell("lost", reason)


def run(check: Callable[[Zygote, socket.socket], Awaitable[None]]) -> None:
    async def opened() -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        child = subprocess.Popen([sys.executable, "-c", "pass"])  # noqa: ASYNC220  # the zygote
        zygote = Zygote(child, ours, HELLO)
        try:
            async with asyncio.timeout(60):
                await check(zygote, theirs)
        finally:
            await zygote.stop()
            theirs.close()

    asyncio.run(opened())


def test_a_fork_whose_descriptor_is_lost_is_a_refusal() -> None:
    async def check(zygote: Zygote, other_end: socket.socket) -> None:
        listener = Listener()
        zygote.fork(7, listener, [], revive=False, spare=False)
        assert isinstance(control.unpack(other_end.recv(control.MAX_PACKET)), control.Fork)
        other_end.send(control.pack(control.Forked(7)))
        await listener.changed.wait()
        assert listener.told == [("refused", "this engine has no file descriptor left for it")]
        # The process is there all the same, and is not left behind.
        discard = control.unpack(other_end.recv(control.MAX_PACKET))
        assert discard == control.Discard(7)
        assert zygote.alive

    run(check)


def test_descriptors_that_nobody_takes_are_closed() -> None:
    packets = [
        control.pack(control.Refusal(7, "no")),
        control.pack(control.Exited(7, 0, None, 1, True)),
        control.pack(control.Forked(8)),  # of whom nobody knows
        control.pack(control.Discard(7)),  # which no zygote says
        b"garbage",
    ]

    async def check(zygote: Zygote, other_end: socket.socket) -> None:
        zygote.fork(7, Listener(), [], revive=False, spare=False)
        ended = asyncio.get_running_loop().create_future()
        zygote.on_death = ended.set_result
        read_end, write_end = os.pipe()
        for packet in packets:
            socket.send_fds(other_end, [packet], [write_end])
        os.close(write_end)
        assert (await ended).startswith("the zygote broke the protocol: control packet: ")
        os.set_blocking(read_end, False)
        assert os.read(read_end, 1) == b""  # nobody has the other end
        os.close(read_end)

    run(check)


def test_what_is_no_zygote_is_an_error_by_name(tmp_path: Path) -> None:
    """An interpreter that says something else, and one that says no packet at all."""
    for said in (control.pack(control.Forked(1)), b"garbage"):
        script = tmp_path / "python"
        script.write_text(
            f"#!{sys.executable}\nimport socket, sys\n"
            f"engine = socket.socket(fileno=int(sys.argv[-1]))\n"
            f"engine.recv(65536)\nengine.send({said!r})\n"
        )
        script.chmod(0o700)
        launch = LAUNCH._replace(executable=str(script))
        with pytest.raises(EngineError, match="/python is no zygote: "):
            asyncio.run(Zygote.start(launch, ""))


def test_a_pid_that_cannot_be_looked_up_is_asked_for_again() -> None:
    pidfd = os.pidfd_open(os.getpid())
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        assert process.pid_of(pidfd) == 0
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert process.pid_of(pidfd) == os.getpid()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)
        os.close(pidfd)
