"""What a context makes of what its worker says: the endings that no real worker has on demand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.contract.launchers import REQUEST_ID, TIMEOUT, Recorder
from tests.process.house import eventually
from tests.unit.context.stage import (
    DONE,
    EXITED,
    KILLED,
    READY,
    Stage,
    initialized,
    initializing,
    play,
)

from samovar.context.limiter import Limited
from samovar.context.surroundings import NoLimits
from samovar.logs.journals import SinkJournal
from samovar_worker.wire.messages import Kind


async def answered_anew(stage: Stage, recorder: Recorder, payload: bytes) -> None:
    """The process that takes the place of the first runs its init, and answers the second run."""
    stage.say(Kind.READY, READY)
    await stage.asked(Kind.INIT)
    stage.say(Kind.INIT_DONE, DONE)
    stage.say(Kind.RESULT, DONE, payload, (await stage.asked(Kind.INVOKE)).invocation)
    await eventually(lambda: len(recorder.verdicts) == 2, "the second is answered")
    assert recorder.verdicts[-1].payload == payload


def test_a_worker_that_answers_and_dies_gets_no_further_run() -> None:
    """Both are here at once, and somebody waits: he must get a process, not the dead one's exit."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.when_free = lambda: recorder.told.count("free") == 1 and recorder.run(b"")
        recorder.run(b"")
        stage.say(Kind.RESULT, DONE, b'"first"', (await stage.asked(Kind.INVOKE)).invocation)
        context.process_exited(EXITED)
        assert [verdict.payload for verdict in recorder.verdicts] == [b'"first"']
        assert recorder.told == ["finished", "free"]
        assert stage.forks == [False, True]
        await answered_anew(stage, recorder, b'"second"')

    play(scenario)


def test_a_run_that_no_worker_has_heard_of_is_anothers_once() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.run(b"{}")
        context.process_exited(KILLED)
        assert stage.forks == [False, True]
        assert recorder.told == recorder.verdicts == []
        stage.say(Kind.READY, READY)
        await stage.asked(Kind.INIT)
        stage.say(Kind.INIT_DONE, DONE)
        await eventually(lambda: context.current is not None, "it has the run")
        await eventually(lambda: stage.unread > 0, "the worker is asked")
        context.process_exited(KILLED)
        (verdict,) = recorder.verdicts
        assert verdict.error_type == "Runtime.ExitError"
        assert stage.forks == [False, True]

    play(scenario)


@pytest.mark.parametrize("tmp_kept", [True, False])
def test_a_run_that_a_worker_has_heard_of_is_its_own(tmp_kept: bool) -> None:
    """So is one that can't have the same mounts again."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.run(b"{}")
        if tmp_kept:
            await stage.asked(Kind.INVOKE)
        context.process_exited(KILLED._replace(tmp_kept=tmp_kept))
        (verdict,) = recorder.verdicts
        assert verdict.error_type == "Runtime.ExitError"
        assert stage.forks == [False]

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


OUT_OF_MEMORY = (
    b'{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: %s Error: '
    b'Runtime exited with error: signal: killed"}' % REQUEST_ID.encode()
)


class Judge(NoLimits):
    """The kernel has killed somebody, if the test says so."""

    def __init__(self) -> None:
        self.guilty = False

    def killed(self, context: Limited) -> bool:
        return self.guilty


def test_an_answer_that_comes_when_it_has_taken_too_much_is_too_late() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.run(b"")
        number = (await stage.asked(Kind.INVOKE)).invocation
        context.overran()
        stage.say(Kind.RESULT, DONE, b'"late"', number)
        context.process_exited(KILLED)
        (verdict,) = recorder.verdicts
        assert (verdict.payload, verdict.memory_used) == (OUT_OF_MEMORY, 128)
        # The process that takes its place begins anew.
        recorder.run(b"")
        await answered_anew(stage, recorder, b'"in time"')

    play(scenario)


@pytest.mark.parametrize("guilty", [True, False])
def test_the_kernel_says_whom_it_has_killed_for_memory(guilty: bool) -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        stage.limiter = judge = Judge()
        context = await initialized(stage, recorder)
        judge.guilty = guilty
        recorder.run(b"")
        await stage.asked(Kind.INVOKE)
        context.process_exited(KILLED)
        (verdict,) = recorder.verdicts
        assert verdict.error_type == ("Runtime.OutOfMemory" if guilty else "Runtime.ExitError")

    play(scenario)


def test_whoever_was_killed_by_us_was_not_by_the_kernel() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        stage.limiter = judge = Judge()
        context = await initialized(stage, recorder)
        judge.guilty = True
        recorder.run(b"")
        await stage.asked(Kind.INVOKE)
        stage.clock.advance(TIMEOUT)
        context.process_exited(KILLED)
        (verdict,) = recorder.verdicts
        assert verdict.error_type == "Sandbox.Timedout"

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
        stage.say(Kind.RESULT, DONE, b"1", (await stage.asked(Kind.INVOKE)).invocation)
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
        stage.say(Kind.RESULT, DONE, b"1", (await stage.asked(Kind.INVOKE)).invocation)
        await eventually(lambda: raised, "END was to be made")
        assert str(raised[0]) == "a line was made"

    play(scenario)
