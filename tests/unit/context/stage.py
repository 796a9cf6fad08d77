"""A context whose worker the test plays, byte by byte: what no real worker does on demand."""

from __future__ import annotations

import asyncio
import fcntl
import os
import sys
import termios
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any

from tests.contract.launchers import Recorder, version
from tests.process.house import eventually

from samovar.context.context import ExecutionContext
from samovar.context.deadlines import Deadlines
from samovar.context.launcher import Placement
from samovar.context.lifecycle import ContextState
from samovar.context.surroundings import Limiting, NoLimits, Surroundings
from samovar.logs.stream import LogStream
from samovar.testing import ManualClock
from samovar_worker.wire import control, frames, memory, messages
from samovar_worker.wire.frames import Frame
from samovar_worker.wire.messages import Kind

REQUEST, REPLY, OUTPUT, MEMORY = 0, 1, 2, 3

READY = messages.Ready("3.12", False)
DONE = messages.Done(10, 1, "", 0)
EXITED = control.Exited(1, code=0, signal=None, peak_kb=1, tmp_kept=True)
KILLED = control.Exited(1, code=None, signal=9, peak_kb=1, tmp_kept=True)


class Stage:
    """Stands in for the zygote: keeps the worker's ends of the pipes, and plays the worker."""

    uid = 0

    def __init__(self) -> None:
        self.forks: list[bool] = []  # `revive` of each
        self.clock = ManualClock()
        self.deadlines = Deadlines(self.clock)
        self.limiter: Limiting = NoLimits()
        self._ends: list[int] = []
        self._decoder = frames.Decoder(memory.MAX_REQUEST)
        self._heard: deque[Frame] = deque()

    def fork(
        self, _number: int, _listener: object, fds: list[int], revive: bool, _spare: bool
    ) -> None:
        self.close()
        self._ends = [os.dup(fd) for fd in fds]
        os.set_blocking(self._ends[REQUEST], False)
        self.forks.append(revive)

    def discard(self, number: int) -> None:
        pass

    def forget(self, number: int) -> None:
        pass

    def close(self) -> None:
        """The process ends, as far as its descriptors go."""
        for fd in self._ends:
            os.close(fd)
        self._ends = []
        self._decoder = frames.Decoder(memory.MAX_REQUEST)
        self._heard.clear()

    @property
    def unread(self) -> int:
        """Bytes that the worker was sent and has not read."""
        left = fcntl.ioctl(self._ends[REQUEST], termios.FIONREAD, bytes(4))
        return int.from_bytes(left, sys.byteorder)

    @property
    def memory(self) -> int:
        """The descriptor of the shared memory."""
        return self._ends[MEMORY]

    def say(self, kind: int, message: tuple[Any, ...], payload: bytes = b"", run: int = 0) -> None:
        """The worker writes a frame, which nobody reads before the loop's next turn."""
        self.write(frames.encode(kind, run, messages.pack(message), payload))

    def write(self, data: bytes) -> None:
        """The worker writes bytes to its reply pipe."""
        os.write(self._ends[REPLY], data)

    def print(self, text: bytes) -> None:
        os.write(self._ends[OUTPUT], text)

    def hear(self) -> Frame | None:
        """What the worker is asked next, if it was asked."""
        try:
            self._heard.extend(self._decoder.feed(os.read(self._ends[REQUEST], 65536)))
        except BlockingIOError:
            pass
        return self._heard.popleft() if self._heard else None

    async def asked(self, kind: int) -> Frame:
        """What the worker is asked next, once it was: a frame of this kind."""
        found: list[Frame] = []

        def heard() -> bool:
            frame = self.hear()
            if frame is not None:
                found.append(frame)
            return bool(found)

        await eventually(heard, "the worker is asked")
        assert found[0].kind == kind
        return found[0]

    def context(self, recorder: Recorder, sink: Any = None, **role: Any) -> ExecutionContext:
        surroundings = Surroundings(self.clock, self.deadlines, 10.0, sink, self.limiter)
        context = ExecutionContext(1, self, surroundings, **role)  # type: ignore[arg-type]
        recorder.context = context
        return context


def play(scenario: Callable[[Stage, Recorder], Awaitable[None]]) -> None:
    async def main() -> None:
        stage = Stage()
        recorder = Recorder(stage)  # type: ignore[arg-type]
        try:
            await scenario(stage, recorder)
        finally:
            if isinstance(recorder.context, ExecutionContext):
                recorder.context.close()
            stage.close()

    asyncio.run(main())


async def initialized(stage: Stage, recorder: Recorder, sink: Any = None) -> ExecutionContext:
    """A context whose init is done."""
    context = await initializing(stage, recorder, sink)
    stage.say(Kind.INIT_DONE, DONE)
    await recorder.until("ready")
    recorder.told.clear()
    return context


async def initializing(
    stage: Stage, recorder: Recorder, sink: Any = None, **role: Any
) -> ExecutionContext:
    """A context that was told to run its init."""
    context = stage.context(recorder, sink, **role)
    placement = Placement(version(), "/var/task", {}, (), None, LogStream("g", "stream", "f"))
    context.start(recorder.lifecycle, placement, recorder)
    stage.say(Kind.READY, READY)
    await eventually(
        lambda: recorder.lifecycle.state is ContextState.INITIALIZING, "the init begins"
    )
    await stage.asked(Kind.RESTORE if context.role.value == "restored" else Kind.INIT)
    return context
