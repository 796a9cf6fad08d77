"""Whatever a worker writes, and when: its context ends by name, or its answer is the true one."""

from __future__ import annotations

import asyncio
import json
import os
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.contract.launchers import Recorder, version
from tests.process.house import eventually
from tests.unit.context.stage import (
    DONE,
    KILLED,
    READY,
    Stage,
    initialized,
    initializing,
    play,
)

from samovar.context import output
from samovar.context.context import ExecutionContext
from samovar.context.launcher import Placement
from samovar.context.lifecycle import ContextState
from samovar.context.opening import Failure, Role
from samovar.logs.stream import LogStream
from samovar_worker.wire import frames, memory, messages
from samovar_worker.wire.frames import HEADER
from samovar_worker.wire.messages import Kind

DONE_BYTES = messages.pack(DONE)
METADATA = st.sampled_from(
    [
        DONE_BYTES,
        messages.pack(READY),
        messages.pack(messages.Refused("no JSON")),
        messages.pack(messages.Done(2**64 - 1, -(2**63), "X" * 1000, 2**63)),
        b"",
        b"\xc1",
        b"\x91" * 3000,  # as deep
        b"\xdd\xff\xff\xff\xff",  # as long
        b"\x94\xcb\x7f\xf8\0\0\0\0\0\0\x01\xa0\x00",  # NaN microseconds
        b"\x94\x01\x02\xa3\xed\xa0\x80\x00",  # half of a surrogate pair
        b"\x94\x01\x02\xc7\x05\xffABCDE\x00",  # a time of no length that there is
        b"\x94\x81\x01\x02\x03\x04\x05",
    ]
) | st.binary(max_size=40)
NUMBERS = st.sampled_from(["this", "last", "next", "none"]) | st.integers(0, 2**64 - 1)
FORGED = st.tuples(
    st.just("say"), st.sampled_from(list(Kind)) | st.integers(0, 255), NUMBERS, METADATA
)
ACTS = st.lists(
    st.one_of(
        st.sampled_from([("work",), ("work",), ("work",), ("run",), ("run",), ("read",)]),
        st.sampled_from([("read",), ("exit",), ("again",), ("shared",)]),
        FORGED,
        st.tuples(st.just("raw"), st.binary(min_size=1, max_size=60)),
        st.tuples(st.just("cut"), st.integers(1, 60)),
        st.tuples(st.just("long"), st.integers(0, 2**32 - 1), st.integers(0, 2**32 - 1)),
    ),
    max_size=25,
)


@dataclass
class Actor:
    """A worker that is honest and forges, by turns; knows what it has said in answer to what."""

    stage: Stage
    recorder: Recorder
    context: ExecutionContext
    numbers: list[int] = field(default_factory=list)  # of the runs that it was told of
    answers: dict[bytes, int] = field(default_factory=dict)  # the number that was claimed
    asked: dict[int, int] = field(default_factory=dict)  # how many runs there were, by number
    last: bytes = b""
    ready: int = 0  # how many processes have said so
    runs: int = 0

    def act(self, what: str, *how: Any) -> None:
        if self.context._broken is not None and what not in ("read", "run"):
            self.exit()  # as the zygote reports it, having been told to kill
        elif self.recorder.lifecycle.state is not ContextState.DEAD:
            getattr(self, f"_{what}")(*how)

    def token(self, number: int) -> bytes:
        token = b'"%d"' % len(self.answers)
        self.answers[token] = number
        return token

    def write(self, data: bytes) -> None:
        if self.context._process is not None:
            self.last = data
            self.stage.write(data)

    def exit(self) -> None:
        if self.context._process is not None:
            self.context.process_exited(KILLED)

    def _exit(self) -> None:
        self.exit()

    def _run(self) -> None:
        if self.recorder.lifecycle.state is ContextState.IDLE:
            self.runs += 1
            self.recorder.run(b"{}")

    def _read(self) -> None:
        if self.context._process is not None:
            self.context._process.channel.read()

    def _work(self) -> None:
        """What an honest worker does next."""
        if self.context._process is None:
            return
        if self.ready < len(self.stage.forks):
            self.ready = len(self.stage.forks)
            self.write(frames.encode(Kind.READY, 0, messages.pack(READY)))
            return
        frame = self.stage.hear()
        if frame is None:
            return
        if frame.kind == Kind.INIT:
            self.write(frames.encode(Kind.INIT_DONE, 0, DONE_BYTES))
        else:
            self.numbers.append(frame.invocation)
            self.asked[frame.invocation] = self.runs
            token = self.token(frame.invocation)
            self.write(frames.encode(Kind.RESULT, frame.invocation, DONE_BYTES, token))

    def _again(self) -> None:
        self.write(self.last or b"\0")

    def _say(self, kind: int, number: str | int, metadata: bytes) -> None:
        last = self.numbers[-1] if self.numbers else 0
        before = self.numbers[-2] if len(self.numbers) > 1 else 0
        known = {"this": last, "last": before, "next": last + 1, "none": 0}
        claimed = number if isinstance(number, int) else known[number] % 2**64
        self.write(frames.encode(kind, claimed, metadata, self.token(claimed)))

    def _raw(self, data: bytes) -> None:
        self.write(data)

    def _cut(self, length: int) -> None:
        number = self.numbers[-1] if self.numbers else 0
        whole = frames.encode(Kind.RESULT, number, DONE_BYTES, self.token(number))
        self.write(whole[: min(length, len(whole) - 1)])

    def _long(self, metadata: int, payload: int) -> None:
        number = self.numbers[-1] if self.numbers else 0
        self.write(HEADER.pack(Kind.RESULT, 0, 1, metadata, payload, number))

    def _shared(self) -> None:
        number = self.numbers[-1] if self.numbers else 0
        token = self.token(number)
        memory.write_all(self.stage.memory, token, memory.RESPONSE_OFFSET)
        self.write(frames.encode(Kind.RESULT, number, DONE_BYTES, in_memory=len(token)))


@settings(max_examples=200)
@given(ACTS)
def test_no_answer_is_taken_for_another_runs(acts: list[tuple[Any, ...]]) -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        raised: list[Any] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, about: raised.append(about))
        context = stage.context(recorder)
        placement = Placement(version(), "/var/task", {}, (), None, LogStream("g", "s", "f"))
        context.start(recorder.lifecycle, placement, recorder)
        actor = Actor(stage, recorder, context)
        for act in acts:
            actor.act(*act)
            if context._process is not None:
                # The bound: a frame of the longest, and what was read with it.
                held = len(context._process.channel._decoder.held)
                assert held <= HEADER.size + frames.MAX_METADATA + frames.MAX_INLINE_PAYLOAD
        if recorder.lifecycle.state is ContextState.DEAD:
            return
        actor.exit()
        await asyncio.sleep(0)
        assert raised == []
        assert len(recorder.verdicts) == actor.runs  # each run has come to one end
        for at, verdict in enumerate(recorder.verdicts, start=1):
            if verdict.payload in actor.answers:
                number = actor.answers[verdict.payload]
                assert actor.asked[number] == at  # and so was written after it was asked for
            elif verdict.refused is None:
                assert json.loads(verdict.payload)["errorType"] == "Runtime.ExitError"
        if recorder.lifecycle.state is ContextState.DEAD:
            return
        # Another process in its place is as good as any.
        actor.act("run")
        for _ in range(3):
            actor.act("work")
            actor.act("read")
        assert actor.answers[recorder.verdicts[-1].payload] == actor.numbers[-1]
        assert len(recorder.verdicts) == actor.runs

    play(scenario)


BEYOND: dict[str, Callable[[int], bytes]] = {
    "a second answer": lambda run: frames.encode(Kind.RESULT, run, DONE_BYTES, b"2"),
    "the next one's": lambda run: frames.encode(Kind.RESULT, run + 1, DONE_BYTES, b"2"),
    "half a frame": lambda run: frames.encode(Kind.RESULT, run, DONE_BYTES, b"2")[:7],
    "a byte": lambda _: b"\x13",
}


@pytest.mark.parametrize("what", BEYOND)
def test_nothing_may_come_along_with_an_answer(what: str) -> None:
    """Somebody waits, who would have it as his own, or would wait for the rest of it."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.when_free = lambda: recorder.told.count("free") == 1 and recorder.run(b"")
        recorder.run(b"")
        run = (await stage.asked(Kind.INVOKE)).invocation
        stage.write(frames.encode(Kind.RESULT, run, DONE_BYTES, b"1") + BEYOND[what](run))
        await eventually(lambda: context._broken, "it is broken")
        assert context._broken == "more than the one answer that it was asked for"
        assert recorder.verdicts == []
        context.process_exited(KILLED)
        assert [verdict.error_type for verdict in recorder.verdicts] == ["Runtime.ExitError"]
        stage.say(Kind.READY, READY)
        await stage.asked(Kind.INIT)
        stage.say(Kind.INIT_DONE, DONE)
        again = (await stage.asked(Kind.INVOKE)).invocation
        assert again not in (run, run + 1)
        stage.say(Kind.RESULT, DONE, b'"true"', again)
        await eventually(lambda: len(recorder.verdicts) == 2, "the other one is answered")
        assert recorder.verdicts[-1].payload == b'"true"'

    play(scenario)


@pytest.mark.parametrize("guess", [0, 1, 2])
def test_an_answer_that_was_there_before_its_question(guess: int) -> None:
    """Written while nobody asked, and read when somebody has: he was given another number."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.run(b"")
        run = (await stage.asked(Kind.INVOKE)).invocation
        stage.say(Kind.RESULT, DONE, b"1", run)
        await recorder.until("free")
        stage.say(Kind.RESULT, DONE, b"2", (run + guess) % 2**64)
        recorder.run(b"")
        await eventually(lambda: context._broken, "it is broken")
        assert context._broken == "a reply to another invocation"
        assert [verdict.payload for verdict in recorder.verdicts] == [b"1"]

    play(scenario)


def test_a_refusal_is_one_of_this_run() -> None:
    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        recorder.run(b"")
        run = (await stage.asked(Kind.INVOKE)).invocation
        stage.say(Kind.REFUSED, messages.Refused("no"), b"", run ^ 1)
        await eventually(lambda: context._broken, "it is broken")
        assert context._broken == "a reply to another invocation"
        assert recorder.verdicts == []

    play(scenario)


@pytest.mark.parametrize("kind", [Kind.ERROR, Kind.INIT_FAILED])
def test_an_errors_type_is_no_longer_than_a_name(kind: Kind) -> None:
    said = messages.Done(1, 1, "E" * 50_000, 0)

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        if kind is Kind.ERROR:
            await initialized(stage, recorder)
            recorder.run(b"")
            stage.say(kind, said, b"{}", (await stage.asked(Kind.INVOKE)).invocation)
            await recorder.until("finished")
            assert recorder.verdicts[-1].error_type == "E" * 256
            return
        context = await initializing(stage, recorder)
        stage.say(kind, said, b"{}")
        await eventually(lambda: context._failed_init, "it is heard")
        assert context._failed_init == (b"{}", "E" * 256)

    play(scenario)


@pytest.mark.parametrize("size", [frames.MAX_METADATA, frames.MAX_METADATA + 1])
def test_a_templates_list_of_what_it_left_is_no_bomb(size: int) -> None:
    """A byte of msgpack can be an object of 64: 6 MB of it would be 400."""
    bomb = b"\x92\xdd" + (size - 7).to_bytes(4, "big") + b"\x80" * (size - 7) + b"\x90"

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initializing(stage, recorder, role=Role.TEMPLATE)
        memory.write_all(stage.memory, bomb, memory.RESPONSE_OFFSET)
        tracemalloc.start()
        try:
            stage.write(frames.encode(Kind.INIT_DONE, 0, DONE_BYTES, in_memory=len(bomb)))
            await eventually(lambda: context._broken, "it is broken")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert context.left_open is None
        if size > frames.MAX_METADATA:
            assert context._broken == "a list of what was left open that is too long"
            assert peak < 1 << 20
        else:
            assert context._broken == "LeftOpen: threads is of another type"
            assert peak < 100 * size

    assert len(bomb) == size
    play(scenario)


def test_output_that_its_writer_takes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who may open his own pipe for reading can be faster than the engine, which has just asked
    how much there is. Played by the engine's own end, read in between."""

    async def scenario(stage: Stage, recorder: Recorder) -> None:
        context = await initialized(stage, recorder)
        process = context._process
        assert process is not None
        asyncio.get_running_loop().remove_reader(process._output_fd)
        stage.print(b"line\n")
        asked = output._ioctl

        def ask_and_take(fd: int, what: int, room: bytes) -> bytes:
            waiting = asked(fd, what, room)
            os.read(fd, 5)
            return bytes(waiting)

        monkeypatch.setattr(output, "_ioctl", ask_and_take)
        process.output.drain()

    play(scenario)


texts = st.text(st.characters(exclude_categories=()), max_size=20)  # with halves of surrogate pairs
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
ERRORS = st.one_of(
    st.binary(max_size=60),
    json_values.map(lambda value: json.dumps(value).encode()),
    json_values.map(lambda value: json.dumps({"errorMessage": value}).encode()),
    st.sampled_from([b"[" * 200_000, b'{"errorMessage":' * 40_000, b'{"a":' + b"1" * 9000]),
)


@given(texts | st.just("E" * 5000), ERRORS)
def test_why_an_opening_failed_can_always_be_told(error_type: str, payload: bytes) -> None:
    reason = Failure(error_type, payload, timed_out=False).reason
    assert len(reason) <= 1024
    reason.encode()  # it is kept with the version


def test_half_a_character_in_a_reason_is_replaced() -> None:
    reason = Failure("E\ud800", b'{"errorMessage":"\\udfff!"}', timed_out=False).reason
    assert reason == "E?: ?!"


def test_no_objects_are_made_of_a_giant_error() -> None:
    payload = b'{"errorMessage":"m","a":[' + b"{}," * 1_000_000 + b"{}]}"
    tracemalloc.start()
    try:
        assert Failure("E", payload, timed_out=False).reason == "E"
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 1 << 20
    assert Failure("E", b'{"errorMessage":"m"}', timed_out=False).reason == "E: m"
