"""What the scheduler may count on from a launcher and its contexts: the fake and the real ones."""

from __future__ import annotations

import asyncio
import gc
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop
from tests.contract.launchers import INIT_TIMEOUT, KINDS, TIMEOUT, Recorder, Rig, rig, version
from tests.process.house import eventually

from samovar.context.lifecycle import ContextState
from samovar.context.run import Verdict
from samovar.errors import EngineError
from samovar.registry.runtimes import Runtimes
from samovar.settings import Settings

HANG = 30.0
# libuv makes a pipe for signals with the process's first loop and keeps it to the end.
uvloop.new_event_loop().close()


Scenario = Callable[[Recorder], Awaitable[None]]
Play = Callable[[Scenario], None]


@pytest.fixture(scope="module")
def runtimes(tmp_path_factory: pytest.TempPathFactory) -> Runtimes:
    settings = Settings(data_dir=tmp_path_factory.mktemp("unused"))
    return asyncio.run(Runtimes.discover(settings))


@pytest.fixture(params=KINDS)
def play(request: pytest.FixtureRequest, tmp_path: Path, runtimes: Runtimes) -> Play:
    def run(scenario: Scenario) -> None:
        raised: list[object] = []

        async def main() -> None:
            # What is raised in a callback would else be a line in a log that nobody reads.
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(lambda _, about: raised.append(about))
            async with asyncio.timeout(HANG), rig(request.param, tmp_path, runtimes) as one:
                await scenario(Recorder(one))
            await asyncio.sleep(0)
            gc.collect()  # a failed Task tells when it is gone

        gc.freeze()  # what was there before, a gigabyte in a long run of tests, is not looked at
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(main())
        finally:
            gc.unfreeze()
        assert raised == []

    return run


def exited(verdict: Verdict, how: str) -> None:
    """It is the verdict on a process that ended like this."""
    assert json.loads(verdict.payload) == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: 00000000-0000-4000-8000-000000000000 Error: {how}",
    }
    assert (verdict.function_error, verdict.error_type) == ("Unhandled", "Runtime.ExitError")
    assert (verdict.broken, verdict.refused, verdict.in_handler) == (None, None, None)


KILLED = "Runtime exited with error: signal: killed"
NO_JSON = "Unable to marshal response: Object of type set is not JSON serializable"


def test_ready_is_told_once(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        began = recorder.rig.clock.monotonic()
        context = await recorder.start()
        assert recorder.told == []  # never from within the call
        await recorder.until("ready")
        assert context.placement is not None
        assert context.placement.version == version(TIMEOUT)
        assert (context.init_began, context.init_seconds) == (began, 0.0)  # the clock stands still
        assert context.invocations == 0
        recorder.rig.clock.advance(INIT_TIMEOUT)  # its deadline is withdrawn
        await recorder.result()
        assert recorder.told == ["free", "finished"]

    play(scenario)


def test_a_run_is_answered_once_and_the_context_is_free_before(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        for calls in (1, 2, 3):
            verdict = await recorder.result(do="count")
            assert json.loads(verdict.payload) == {"calls": calls}
            assert recorder.told == ["free", "finished"]
            assert (verdict.function_error, verdict.error_type) == (None, None)
            assert (verdict.broken, verdict.refused) == (None, None)
            assert verdict.in_handler is not None
            assert context.invocations == calls
        recorder.rig.clock.advance(TIMEOUT)  # their deadlines are withdrawn
        assert json.loads((await recorder.result()).payload) == {"calls": 4}
        assert recorder.told == ["free", "finished"]
        assert len(recorder.verdicts) == 4

    play(scenario)


def test_a_run_starts_when_it_is_given(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.ready()
        recorder.rig.clock.advance(100)
        now = recorder.rig.clock.monotonic()
        assert recorder.run(b'{"do": "count"}').started == now
        await recorder.until("free", "finished")
        assert recorder.verdicts[-1].duration == 0.0

    play(scenario)


def test_the_next_run_may_be_given_as_soon_as_the_context_is_free(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.ready()

        def again() -> None:
            if recorder.told.count("free") < 3:
                recorder.run(b"")

        recorder.when_free = again
        recorder.run(b"")
        await eventually(lambda: len(recorder.verdicts) == 3, "three runs are answered")
        found = [json.loads(verdict.payload) for verdict in recorder.verdicts]
        assert found == [{"calls": 1}, {"calls": 2}, {"calls": 3}]

    play(scenario)


def test_an_error_of_the_function_keeps_the_process(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.ready()
        for do, kind, message in (
            ("raise", "ValueError", "no luck"),
            ("set", "Runtime.MarshalError", NO_JSON),
        ):
            verdict = await recorder.result(do=do)
            assert recorder.told == ["free", "finished"]
            assert (verdict.function_error, verdict.error_type) == ("Unhandled", kind)
            told = json.loads(verdict.payload)
            assert list(told) == ["errorMessage", "errorType", "requestId", "stackTrace"]
            assert (told["errorMessage"], told["errorType"]) == (message, kind)
            assert bool(told["stackTrace"]) is (do == "raise")
        assert json.loads((await recorder.result()).payload) == {"calls": 3}

    play(scenario)


def test_an_event_that_is_no_json_is_refused(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        recorder.run(b"{")
        await recorder.until("free", "finished")
        verdict = recorder.verdicts[-1]
        assert recorder.told == ["free", "finished"]
        assert verdict.refused
        assert (verdict.payload, verdict.function_error, verdict.broken) == (b"", None, None)
        assert json.loads((await recorder.result()).payload) == {"calls": 1}
        assert context.invocations == 2

    play(scenario)


def test_an_exit_frees_the_context_and_the_next_run_gets_a_new_process(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.ready()
        for code, how in (
            (None, "Runtime exited without providing a reason"),
            (3, "Runtime exited with error: exit status 3"),
            ("words", "Runtime exited with error: exit status 1"),
        ):
            exited(await recorder.result(do="exit", code=code), how)
            assert recorder.told == ["finished", "free"]
            assert json.loads((await recorder.result()).payload) == {"calls": 1}
            assert recorder.told == ["free", "finished"]

    play(scenario)


def test_death_while_busy(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        recorder.run(b'{"do": "stay"}')
        await recorder.rig.until_heard(context)
        recorder.rig.kill(context)
        await recorder.until("free")
        assert recorder.told == ["finished", "free"]
        exited(recorder.verdicts[-1], KILLED)
        assert json.loads((await recorder.result()).payload) == {"calls": 1}

    play(scenario)


def test_death_while_idle_is_no_news(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        await recorder.result()
        recorder.told.clear()
        recorder.rig.kill(context)
        await recorder.rig.until_dead(context)
        assert recorder.told == []
        assert json.loads((await recorder.result()).payload) == {"calls": 1}
        assert recorder.told == ["free", "finished"]

    play(scenario)


def test_a_run_that_is_given_to_a_process_that_has_just_died(play: Play) -> None:
    """It has not heard of it: another one runs it."""

    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        recorder.rig.kill(context)
        recorder.run(b"")
        await recorder.until("finished", "free")
        assert recorder.told == ["free", "finished"]
        assert recorder.verdicts[-1].error_type is None
        assert json.loads(recorder.verdicts[-1].payload) == {"calls": 1}
        assert json.loads((await recorder.result()).payload) == {"calls": 2}

    play(scenario)


def test_nor_has_one_that_was_provisioned_and_it_is_not_replaced(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready(provisioned=True)
        recorder.rig.kill(context)
        recorder.run(b"")
        await recorder.until("finished")
        exited(recorder.verdicts[-1], KILLED)

    play(scenario)


def test_a_timeout(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.ready()
        recorder.run(b'{"do": "stay"}')
        recorder.rig.clock.advance(TIMEOUT - 0.001)
        assert recorder.told == []
        recorder.rig.clock.advance(0.5)
        await recorder.until("free")
        assert recorder.told == ["finished", "free"]
        verdict = recorder.verdicts[-1]
        assert json.loads(verdict.payload) == {
            "errorType": "Sandbox.Timedout",
            "errorMessage": "RequestId: 00000000-0000-4000-8000-000000000000 "
            "Error: Task timed out after 3.00 seconds",
        }
        assert verdict.error_type == "Sandbox.Timedout"
        assert verdict.duration == 3.0  # not what it took to kill it
        assert json.loads((await recorder.result()).payload) == {"calls": 1}
        assert recorder.verdicts[-1].duration == 0.0

    play(scenario)


def test_stop_while_idle(play: Play) -> None:
    async def scenario(first: Recorder) -> None:
        for recorder, dead in ((first, False), (Recorder(first.rig), True)):
            context = await recorder.ready()
            if dead:  # /tmp is still there, without a process
                recorder.rig.kill(context)
                await recorder.rig.until_dead(context)
            recorder.lifecycle.move(ContextState.STOPPING)
            context.stop("idle for too long")
            assert recorder.told == []  # never from within the call
            await recorder.until("gone: idle for too long")
            context.abandon("once more")
            assert recorder.told == ["gone: idle for too long"]
            recorder.rig.launcher.release(context)

    play(scenario)


def test_stop_while_busy(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        recorder.run(b'{"do": "stay"}')
        context.stop("drained")
        await recorder.until("gone: drained")
        assert recorder.told == ["finished", "gone: drained"]
        exited(recorder.verdicts[-1], KILLED)

    play(scenario)


def test_stop_in_the_middle_of_the_init(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.start(init="stay")
        await eventually(
            lambda: recorder.lifecycle.state is ContextState.INITIALIZING, "its init has begun"
        )
        recorder.lifecycle.move(ContextState.STOPPING)
        context.stop("the engine stops")
        await recorder.until("gone: the engine stops")
        assert recorder.told == ["gone: the engine stops"]
        assert not context.lost
        recorder.rig.launcher.release(context)

    play(scenario)


def test_stop_right_after_the_start(play: Play) -> None:
    """It was called off while its package was fetched: not even its init runs."""

    async def scenario(recorder: Recorder) -> None:
        recorder.lifecycle.move(ContextState.STOPPING, "drained")
        context = await recorder.start()
        context.stop("drained")
        await recorder.until("gone: drained")
        assert recorder.told == ["gone: drained"]
        assert context.init_began == 0.0
        recorder.rig.launcher.release(context)

    play(scenario)


def test_abandon_is_at_once(play: Play) -> None:
    async def scenario(first: Recorder) -> None:
        for recorder, busy in ((first, False), (Recorder(first.rig), True)):
            context = await recorder.ready()
            if busy:
                recorder.run(b'{"do": "stay"}')
            context.abandon("the engine stopped")
            told = ["finished"] * busy + ["gone: the engine stopped"]
            assert recorder.told == told
            broken = [verdict.broken for verdict in recorder.verdicts]
            assert broken == ["the engine stopped"] * busy
            recorder.rig.clock.advance(100)
            await asyncio.sleep(0)
            assert recorder.told == told

    play(scenario)


def test_the_zygote_dies_while_busy(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready()
        recorder.run(b'{"do": "stay"}')
        await recorder.rig.lose(context)
        assert recorder.told == ["finished", "gone: the zygote died"]
        assert context.lost
        assert recorder.verdicts[-1].broken == "the zygote died"

    play(scenario)


def test_the_zygote_dies_before_the_start(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        prepared = await recorder.rig.launcher.prepare(version(TIMEOUT))
        recorder.context = prepared.context
        await recorder.rig.lose(prepared.context)
        prepared.context.start(recorder.lifecycle, prepared.placement, recorder)
        assert recorder.told == []  # never from within the call
        await eventually(lambda: recorder.told, "it is told to be gone")
        (told,) = recorder.told
        assert told.startswith("gone: the zygote")  # «died», or «'s socket broke»

    play(scenario)


def test_a_failed_init_is_ready_all_the_same_and_fails_again_in_the_run(play: Play) -> None:
    async def scenario(first: Recorder) -> None:
        for recorder, init in ((first, "raise"), (Recorder(first.rig), "exit")):
            context = await recorder.ready(init=init)
            assert context.init_seconds is None
            for _ in range(2):
                verdict = await recorder.result()
                assert recorder.told == ["finished", "free"]
                if init == "exit":
                    exited(verdict, "Runtime exited with error: exit status 4")
                    continue
                told = json.loads(verdict.payload)
                assert (told["errorType"], told["errorMessage"]) == ("ValueError", "not today")
                assert told["requestId"] == ""
                assert (verdict.function_error, verdict.error_type) == ("Unhandled", "ValueError")

    play(scenario)


def test_an_init_that_fails_once(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.ready(init="once")
        assert context.init_seconds is None
        assert json.loads((await recorder.result()).payload) == {"calls": 1}
        assert recorder.told == ["free", "finished"]
        exited(  # it is forgotten by now
            await recorder.result(do="exit", code=3), "Runtime exited with error: exit status 3"
        )

    play(scenario)


def test_an_init_that_takes_too_long_moves_into_the_run_and_its_time(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        context = await recorder.start(init="stay")
        await eventually(
            lambda: recorder.lifecycle.state is ContextState.INITIALIZING, "the init has begun"
        )
        recorder.rig.clock.advance(INIT_TIMEOUT - 0.001)
        assert recorder.told == []
        recorder.rig.clock.advance(0.001)
        await recorder.until("ready")
        assert context.init_seconds is None
        recorder.told.clear()
        recorder.run(b"")
        recorder.rig.clock.advance(TIMEOUT)
        await recorder.until("free")
        assert recorder.told == ["finished", "free"]
        verdict = recorder.verdicts[-1]
        assert (verdict.error_type, verdict.duration) == ("Sandbox.Timedout", 3.0)

    play(scenario)


@pytest.mark.parametrize("init", ["raise", "exit"])
def test_a_provisioned_context_is_gone_when_its_init_fails(play: Play, init: str) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.start(provisioned=True, init=init)
        await recorder.until("gone: its process ended")
        assert recorder.told == ["gone: its process ended"]

    play(scenario)


def test_a_provisioned_context_is_gone_with_its_process(play: Play) -> None:
    async def scenario(first: Recorder) -> None:
        context = await first.ready(provisioned=True)
        first.rig.kill(context)
        await first.until("gone: its process ended")
        second = Recorder(first.rig)
        await second.ready(provisioned=True)
        assert json.loads((await second.result()).payload) == {"calls": 1}
        second.told.clear()
        second.run(b'{"do": "exit", "code": 3}')
        await second.until("gone: its process ended")
        assert second.told == ["finished", "gone: its process ended"]
        exited(second.verdicts[-1], "Runtime exited with error: exit status 3")

    play(scenario)


def test_a_provisioned_context_has_more_time_for_its_init(play: Play) -> None:
    async def scenario(recorder: Recorder) -> None:
        await recorder.start(provisioned=True, init="stay")
        state = ContextState.INITIALIZING
        await eventually(lambda: recorder.lifecycle.state is state, "its init has begun")
        recorder.rig.clock.advance(129.0)
        assert recorder.told == []
        recorder.rig.clock.advance(1.0)
        await recorder.until("gone: its process ended")

    play(scenario)


def test_what_prepare_raises_is_an_error_of_ours(play: Play) -> None:
    """A fake raises what the test wants; a real launcher that has stopped says so."""

    async def scenario(recorder: Recorder) -> None:
        rig = recorder.rig
        if stop := getattr(rig, "stop", None):
            await stop()
        else:
            rig.launcher = failing(rig)
        with pytest.raises(EngineError, match="the engine is stopping"):
            await rig.launcher.prepare(version())

    play(scenario)


def failing(rig: Rig) -> Any:
    from samovar.testing import FakeLauncher

    async def fetch(_version: Any) -> float:
        raise EngineError("the engine is stopping")

    return FakeLauncher(lambda event, invocation: None, rig.clock, fetch=fetch)
