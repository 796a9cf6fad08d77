"""Frames over real pipes: small ones, broken off in the middle, and payloads in shared memory."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import uvloop
from tests.process.house import eventually

from samovar.context.channel import Channel
from samovar_worker.wire import frames, memory, messages
from samovar_worker.wire.frames import Frame, ProtocolError
from samovar_worker.wire.messages import Kind
from samovar_worker.wire.order import Turn

SMALL_PIPE = 4096  # the least there is
READY = messages.pack(messages.Ready("3.12", False))
DONE = messages.pack(messages.Done(1, 1, "", 0))


class Ends:
    """A channel and the worker's ends of its pipes, which read and write when the test says so."""

    def __init__(self, size: int) -> None:
        self.request, request_write = os.pipe()
        reply_read, self.reply = os.pipe()
        fcntl.fcntl(request_write, fcntl.F_SETPIPE_SZ, size)
        os.set_blocking(self.request, False)
        self.memory = os.memfd_create("payload")
        os.ftruncate(self.memory, memory.SIZE)
        self.frames: list[Frame] = []
        self.broken: list[str] = []
        self.channel = Channel(
            request_write, reply_read, self.memory, self.frames.append, self.broken.append
        )

    def close(self) -> None:
        self.channel.close()
        for fd in (self.request, self.reply, self.memory):
            if fd >= 0:
                os.close(fd)

    def say(self, kind: int, metadata: bytes = DONE, payload: bytes = b"") -> None:
        os.write(self.reply, frames.encode(kind, 0, metadata, payload))

    async def heard(self, count: int) -> Frame:
        """The last of `count` frames."""
        await eventually(lambda: len(self.frames) == count, f"{count} frames are here")
        return self.frames[-1]

    async def idle(self) -> None:
        """Ready and initialized: the turn is INVOKE's."""
        self.say(Kind.READY, READY)
        await self.heard(1)
        self.channel.send(Kind.INIT, b"init")
        os.read(self.request, 65536)
        self.say(Kind.INIT_DONE)
        await self.heard(2)

    async def read_all(self, count: int) -> list[Frame]:
        """`count` frames, read in small pieces as a slow worker would."""
        decoder = frames.Decoder(memory.MAX_REQUEST)
        found: list[Frame] = []

        def read() -> bool:
            try:
                found.extend(decoder.feed(os.read(self.request, 1000)))
            except BlockingIOError:
                pass
            return len(found) >= count

        await eventually(read, "the worker has read everything", every=0)
        return found


def run(scenario: Callable[[Ends], Awaitable[None]], size: int = SMALL_PIPE) -> None:
    async def main() -> None:
        ends = Ends(size)
        try:
            await scenario(ends)
        finally:
            ends.close()

    # On both kinds of loop; only asyncio's own says whether a reader or a writer was still there.
    for loop_factory in (uvloop.new_event_loop, asyncio.new_event_loop):
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            runner.run(main())


# libuv makes a pipe for signals with the process's first loop and keeps it to the end.
uvloop.new_event_loop().close()


def test_a_frame_larger_than_the_pipe_is_written_as_the_worker_reads() -> None:
    payload = bytes(range(256)) * 120  # 30,720 B: inline, seven times the pipe

    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"metadata", payload, 7)
        (frame,) = await ends.read_all(1)
        assert (frame.kind, frame.invocation) == (Kind.INVOKE, 7)
        assert (frame.metadata, frame.payload) == (b"metadata", payload)
        assert not asyncio.get_running_loop().remove_writer(ends.channel._request_fd)
        ends.say(Kind.RESULT)
        await ends.heard(3)
        ends.channel.send(Kind.INVOKE, b"second", b"{}", 8)
        assert (await ends.read_all(1))[0].metadata == b"second"

    run(scenario)


def test_what_is_sent_while_the_pipe_is_full_keeps_its_place() -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"first", b"1" * 20_000, 1)
        ends.say(Kind.RESULT)  # the worker answers before it has read to the end
        await ends.heard(3)
        ends.channel.send(Kind.INVOKE, b"second", b"2" * 20_000, 2)
        found = await ends.read_all(2)
        assert [(frame.metadata, frame.payload) for frame in found] == [
            (b"first", b"1" * 20_000),
            (b"second", b"2" * 20_000),
        ]

    run(scenario)


def test_a_pipe_that_is_full_to_the_last_byte() -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        payload = b"1" * (SMALL_PIPE - frames.HEADER.size - len(b"first"))
        ends.channel.send(Kind.INVOKE, b"first", payload, 1)
        ends.say(Kind.RESULT)
        await ends.heard(3)
        ends.channel.send(Kind.INVOKE, b"second", b"2", 2)
        found = await ends.read_all(2)
        assert [frame.metadata for frame in found] == [b"first", b"second"]

    run(scenario)


@pytest.mark.parametrize(
    ("size", "in_memory"), [(memory.INLINE_LIMIT, False), (memory.INLINE_LIMIT + 1, True)]
)
def test_more_than_32_kb_goes_through_memory(size: int, in_memory: bool) -> None:
    payload = os.urandom(size)

    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"metadata", payload, 1)
        (frame,) = await ends.read_all(1)
        assert frame.payload_length == size
        assert frame.payload == (b"" if in_memory else payload)
        assert bool(frame.flags & frames.IN_MEMORY) is in_memory
        if in_memory:
            assert memory.read_exactly(ends.memory, size, 0) == payload

    run(scenario)


@pytest.mark.parametrize("size", [100, memory.MAX_RESPONSE])
def test_a_reply_is_found_wherever_it_lies(size: int) -> None:
    payload = os.urandom(size)

    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"", b"{}", 1)
        if size == 100:
            ends.say(Kind.RESULT, DONE, payload)
        else:
            memory.write_all(ends.memory, payload, memory.RESPONSE_OFFSET)
            os.write(ends.reply, frames.encode(Kind.RESULT, 1, DONE, in_memory=size))
        frame = await ends.heard(3)
        assert ends.channel.payload(frame) == payload

    run(scenario)


def test_a_reply_that_comes_byte_by_byte() -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"", b"{}", 1)
        for byte in frames.encode(Kind.RESULT, 1, DONE, b'"slow"'):
            os.write(ends.reply, bytes([byte]))
            ends.channel.read()
        assert ends.frames[-1].payload == b'"slow"'
        assert ends.channel.turn is Turn.IDLE

    run(scenario)


ILLEGAL = {
    "not a frame": b"\xff" * 64,
    "another version": frames.HEADER.pack(Kind.RESULT, 0, 99, 0, 0, 0),
    "too much metadata": frames.HEADER.pack(Kind.RESULT, 0, 1, frames.MAX_METADATA + 1, 0, 0),
    "not its turn": frames.encode(Kind.RESULT, 0, DONE),
    "not for a worker to send": frames.encode(Kind.INVOKE, 0, DONE),
    "no such kind": frames.encode(200, 0, DONE),
}


@pytest.mark.parametrize("name", ILLEGAL)
def test_what_no_worker_may_send_breaks_the_channel_once_and_for_all(name: str) -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        os.write(ends.reply, ILLEGAL[name])
        await eventually(lambda: ends.broken, "it is broken")
        # Nothing that comes after it counts, not even when it is legal, nor is it told again.
        os.write(ends.reply, ILLEGAL[name])
        ends.channel.turn = Turn.RUNNING
        ends.say(Kind.RESULT)
        await asyncio.sleep(0)
        ends.channel.read()  # as is done once more when the process is known to be dead
        ends.channel.read()
        assert len(ends.broken) == 1
        assert len(ends.frames) == 2

    run(scenario)


def test_what_on_frame_cannot_read_breaks_the_channel_too() -> None:
    async def scenario(ends: Ends) -> None:
        def refuse(frame: Frame) -> Any:
            raise ProtocolError("a reply to another invocation")

        ends.channel._on_frame = refuse
        ends.say(Kind.READY, READY)
        await eventually(lambda: ends.broken, "it is broken")
        assert ends.broken == ["a reply to another invocation"]

    run(scenario)


def test_sending_out_of_turn_is_refused_and_nothing_is_written() -> None:
    async def scenario(ends: Ends) -> None:
        with pytest.raises(ProtocolError, match="INVOKE is not legal while forked"):
            ends.channel.send(Kind.INVOKE, b"", b"{}", 1)
        with pytest.raises(BlockingIOError):
            os.read(ends.request, 1)

    run(scenario)


def test_the_workers_end_proves_nothing() -> None:
    """A function may close everything and still live: only the exit report counts."""

    async def scenario(ends: Ends) -> None:
        await ends.idle()
        os.close(ends.reply)
        ends.reply = -1
        ends.channel.read()
        ends.channel.read()
        assert not asyncio.get_running_loop().remove_reader(ends.channel._reply_fd)
        os.close(ends.request)
        ends.request = -1
        ends.channel.send(Kind.INVOKE, b"", b"{}", 1)
        assert (ends.broken, len(ends.frames)) == ([], 2)

    run(scenario)


def test_a_worker_that_goes_in_the_middle_of_a_frame() -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        ends.channel.send(Kind.INVOKE, b"", b"x" * 20_000, 1)
        os.close(ends.request)
        ends.request = -1
        await eventually(lambda: not ends.channel._unwritten, "the rest is given up")
        assert ends.broken == []

    run(scenario)


@pytest.mark.parametrize("full", [False, True], ids=["empty pipe", "full pipe"])
def test_close_closes_both_ends_and_may_be_called_again(full: bool) -> None:
    async def scenario(ends: Ends) -> None:
        await ends.idle()
        if full:
            ends.channel.send(Kind.INVOKE, b"", b"x" * 20_000, 1)
        ends.channel.close()
        ends.channel.close()
        ends.channel.read()
        os.set_blocking(ends.request, True)
        while os.read(ends.request, 65536):  # comes to an end: nobody else has the other one
            assert full
        with pytest.raises(BrokenPipeError):
            os.write(ends.reply, b"x")

    run(scenario)
