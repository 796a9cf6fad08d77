"""A context whose worker the test plays, frame by frame: what no real worker does on demand."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from tests.contract.launchers import Recorder, version
from tests.process.house import eventually

from samovar.context.context import ExecutionContext, Surroundings
from samovar.context.deadlines import Deadlines
from samovar.context.launcher import Placement
from samovar.context.lifecycle import ContextState
from samovar.logs.journals import SinkJournal
from samovar.logs.stream import LogStream
from samovar.testing import ManualClock
from samovar_worker.wire import control, frames, memory, messages
from samovar_worker.wire.messages import Kind

REQUEST, REPLY, OUTPUT = 0, 1, 2


class Stage:
    """Stands in for the zygote: keeps the worker's ends of the pipes, and plays the worker."""

    uid = 0

    def __init__(self) -> None:
        self.forks: list[bool] = []  # `revive` of each
        self.clock = ManualClock()
        self.deadlines = Deadlines(self.clock)
        self._ends: list[int] = []

    def fork(
        self, _number: int, _listener: object, fds: list[int], revive: bool, _spare: bool
    ) -> None:
        self.close()
        self._ends = [os.dup(fd) for fd in fds]
        self.forks.append(revive)

    def discard(self, number: int) -> None:
        pass

    def forget(self, number: int) -> None:
        pass

    def close(self) -> None:
        for fd in self._ends:
            os.close(fd)
        self._ends = []

    def say(self, kind: int, message: tuple[Any, ...], payload: bytes = b"", run: int = 0) -> None:
        """The worker writes a frame, which nobody reads before the loop's next turn."""
        os.write(self._ends[REPLY], frames.encode(kind, run, messages.pack(message), payload))

    async def asked(self, kind: int) -> None:
        """The worker reads a frame of this kind."""
        os.set_blocking(self._ends[REQUEST], False)
        decoder = frames.Decoder(memory.MAX_REQUEST)
        found: list[frames.Frame] = []

        def read() -> bool:
            try:
                found.extend(decoder.feed(os.read(self._ends[REQUEST], 65536)))
            except BlockingIOError:
                pass
            return bool(found)

        await eventually(read, "the worker is asked")
        assert [frame.kind for frame in found] == [kind]

    def print(self, text: bytes) -> None:
        os.write(self._ends[OUTPUT], text)

    def context(self, recorder: Recorder, sink: Any = None) -> ExecutionContext:
        surroundings = Surroundings(self.clock, self.deadlines, 10.0, sink)
        context = ExecutionContext(1, self, surroundings)  # type: ignore[arg-type]
        recorder.context = context
        return context


READY = messages.Ready("3.12", False)
DONE = messages.Done(10, 1, "")
EXITED = control.Exited(1, code=0, signal=None, peak_kb=1, tmp_kept=True)


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


async def initializing(stage: Stage, recorder: Recorder, sink: Any = None) -> ExecutionContext:
    context = stage.context(recorder, sink)
    placement = Placement(version(), "/var/task", {}, (), None, LogStream("g", "stream", "f"))
    context.start(recorder.lifecycle, placement, recorder)
    stage.say(Kind.READY, READY)
    await eventually(
        lambda: recorder.lifecycle.state is ContextState.INITIALIZING, "the init begins"
    )
    return context


def test_a_worker_that_answers_and_dies_gets_no_further_run() -> None:
    """Both are here at once, and somebody waits: he must get a process, not the dead one's exit."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.when_free = lambda: recorder.told.count("free") == 1 and recorder.run(b"")
        recorder.run(b"")
        stage.say(Kind.RESULT, DONE, b'"first"', 0)
        context.process_exited(EXITED)
        assert [verdict.payload for verdict in recorder.verdicts] == [b'"first"']
        assert recorder.told == ["finished", "free"]
        assert stage.forks == [False, True]
        stage.say(Kind.READY, READY)
        await stage.asked(Kind.INIT)
        stage.say(Kind.INIT_DONE, DONE)
        await stage.asked(Kind.INVOKE)
        stage.say(Kind.RESULT, DONE, b'"second"', 1)
        await eventually(lambda: len(recorder.verdicts) == 2, "the second is answered")
        assert recorder.verdicts[-1].payload == b'"second"'

    play(scenario)


def test_a_worker_that_dies_as_its_init_is_done_gets_no_run() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initializing(stage, recorder)
        recorder.when_ready = lambda: recorder.run(b"")
        stage.say(Kind.INIT_DONE, DONE)
        context.process_exited(EXITED)
        assert recorder.told == ["ready"]
        assert stage.forks == [False, True]
        assert recorder.verdicts == []

    play(scenario)


class Loud(str):
    """A text that can be packed, but whoever puts it into a line fails."""

    __slots__ = ()

    def __format__(self, _spec: str) -> str:
        raise AssertionError("a line was made")

    __str__ = __format__  # type: ignore[assignment]


class Sink:
    def write(self, function: str, stream: str, data: bytes) -> None:
        pass


def test_no_line_is_made_for_nobody() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        await initialized(stage, recorder)
        recorder.request_id = Loud("r")
        recorder.run(b"")
        stage.print(b"line\n")
        stage.say(Kind.RESULT, DONE, b"1", 0)
        await recorder.until("finished")
        assert recorder.verdicts[-1].log_tail == b""

    play(scenario)


def test_lines_are_made_for_a_sink() -> None:
    """The other half: the trap above does spring, at START and at END."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        raised: list[Any] = []
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, about: raised.append(about["exception"]))
        await initialized(stage, recorder, SinkJournal(Sink()))
        recorder.request_id = Loud("r")
        with pytest.raises(AssertionError, match="a line was made"):
            recorder.run(b"")
        stage.say(Kind.RESULT, DONE, b"1", 0)
        await eventually(lambda: raised, "END was to be made")
        assert str(raised[0]) == "a line was made"

    play(scenario)
