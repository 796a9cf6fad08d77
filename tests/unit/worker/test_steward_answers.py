"""What a steward makes of a template's answers, which are bytes from anybody."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import given
from hypothesis import strategies as st

from samovar_worker import boot, template
from samovar_worker.steward import Steward
from samovar_worker.wire import control

numbers = st.integers(-(2**31), 2**31 - 1)
answers = st.one_of(
    st.binary(min_size=1, max_size=200),
    st.builds(template.ANSWER.pack, st.just(7), numbers, numbers),
    st.builds(template.ANSWER.pack, st.integers(-(2**63), 2**63 - 1), numbers, numbers),
    st.builds(template.ANSWER.pack, st.just(7), st.just(os.getpid()), st.sampled_from([0, 1])),
)


class Steward0(Steward):
    """One that was never asked to start a template, and so kills nobody."""

    def ask(self, pair: socket.socket, context: int) -> None:
        self._started = True
        self._pair = pair
        self._poll.register(pair)
        self._asked = control.Fork(context, revive=False, spare=False, uid=0)

    @property
    def believes(self) -> bool:
        return self._pair is not None

    def hear(self) -> None:
        assert self._pair is not None
        self._hear(self._pair.fileno())

    def close(self) -> None:
        ends = (self._pidfd, self._mounts, self._pids, self._wake_read, self._wake_write)
        for fd in (*ends, self._holders, self._holder_input[0][1]):
            os.close(fd)
        if self._pair is not None:
            self._pair.close()


@contextmanager
def asked() -> Iterator[tuple[Steward0, socket.socket, socket.socket]]:
    """A steward that has asked for context 7; the template's end, and the engine's."""
    engine, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pair.setblocking(False)
    engine.setblocking(False)
    with engine, ours, theirs:
        steward = Steward0(ours, False, boot.Boot.__new__(boot.Boot))
        try:
            steward.ask(pair, 7)
            yield steward, theirs, engine
        finally:
            steward.close()


@given(st.lists(answers, min_size=1, max_size=3))
def test_an_answer_is_an_error_or_the_end_of_all_belief(said: list[bytes]) -> None:
    """None of these names a process that it could have made: nothing is taken over."""
    with asked() as (steward, theirs, engine):
        for data in said:
            theirs.send(data)
        before = os.listdir("/proc/self/fd")
        steward.hear()
        assert len(os.listdir("/proc/self/fd")) == len(before) - (not steward.believes)
        refusal = control.unpack(engine.recv(control.MAX_PACKET))
        assert isinstance(refusal, control.Refusal)
        assert refusal.context == 7
        if steward.believes:
            context, worker, _ = template.ANSWER.unpack(said[0])
            assert context == 7
            assert worker < 0
            assert refusal.reason.startswith("its template could not fork: ")
        else:
            assert refusal.reason == control.ENDED
        try:
            again = engine.recv(control.MAX_PACKET)
        except BlockingIOError:
            again = b""
        assert again == b""


def test_descriptors_are_not_taken() -> None:
    with asked() as (steward, theirs, _):
        read_end, write_end = os.pipe()
        socket.send_fds(theirs, [template.ANSWER.pack(7, -1, 0)], [write_end])
        os.close(write_end)
        steward.hear()
        os.set_blocking(read_end, False)
        assert os.read(read_end, 1) == b""  # nobody has the other end
        os.close(read_end)
