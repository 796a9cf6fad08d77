"""What a function writes, whichever way, comes in order, under the right invocation, untouched."""

from __future__ import annotations

import asyncio
import re
import socket
import tracemalloc

from tests.process.conftest import RunEngine
from tests.process.freezing_house import frozen
from tests.process.house import create, error

from samovar.engine import Engine
from samovar.model.invocation import Outcome

TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
TAIL = 4096  # bytes of LogResult (AWS)


def report_of(outcome: Outcome) -> dict[str, str]:
    """The fields of the REPORT line in the log's tail."""
    last = outcome.log_tail.decode().splitlines()[-1]
    assert last.startswith(f"REPORT RequestId: {outcome.request_id}\t"), last
    assert last.endswith("\t")
    return dict(field.split(": ", 1) for field in last.rstrip("\t").split("\t"))


def memory_used(outcome: Outcome) -> int:
    shown = report_of(outcome)["Max Memory Used"]
    assert shown == f"{outcome.max_memory_used} MB"
    return outcome.max_memory_used


def test_every_line_in_its_place(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.mixed", memory_size=256)
        outcome = await engine.invoke("f")
        assert outcome.payload == b'"done"'
        request_id = outcome.request_id
        assert re.fullmatch(UUID, request_id)
        head, _, rest = run_engine.log.data().decode(errors="surrogateescape").partition("\nSTART ")
        assert re.fullmatch(
            r"INIT_START Runtime Version: python:3\.\d+\.v\d+\t"
            r"Runtime Version ARN: arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}\n"
            r"module line\n"
            rf"\[WARNING\]\t{TIME}\t\tmodule warning",
            head,
        )
        body, _, report = rest.partition("REPORT ")
        assert re.sub(TIME, "TIME", body) == (
            f"RequestId: {request_id} Version: $LATEST\n"
            "1 print\n"
            f"[WARNING]\tTIME\t{request_id}\t2 logging\n"
            "3 descriptor 1\n"
            "4 print to stderr\n"
            "5 descriptor 2\n"
            "6 subprocess\n"
            "7 its stderr\n"
            "8 no newline;9 write\n"
            "10 context.log\n"
            f"[ERROR]\tTIME\t{request_id}\t11 two\nlines\n"
            "12 unprintable \\udcff\n"
            "13 no utf-8 \udcff\udcfe\n"
            "14 самовар\n"
            f"END RequestId: {request_id}\n"
        )
        assert re.fullmatch(
            rf"RequestId: {request_id}\tDuration: \d+\.\d\d ms\tBilled Duration: \d+ ms\t"
            r"Memory Size: 256 MB\tMax Memory Used: \d+ MB\tInit Duration: \d+\.\d\d ms\t\n",
            report,
        )

    run_engine(scenario)


def test_log_result_is_this_invocation_alone_and_its_last_4_kb(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.lines", timeout=30)
        assert (await engine.invoke("f", {"count": 1, "width": 80})).log_tail == b""
        for count, width in ((3, 20), (200, 80), (30_000, 100), (1, 5_000), (0, 0)):
            mark = len(run_engine.log.data())
            event = {"count": count, "width": width, "of": chr(97 + count % 26)}
            outcome = await engine.invoke("f", event, log_tail=True)
            logged = run_engine.log.data()[mark:]
            assert logged.startswith(f"START RequestId: {outcome.request_id} ".encode())
            assert len(logged) > count * width
            assert outcome.log_tail == logged[-TAIL:]
            assert "Init Duration" not in report_of(outcome)

    run_engine(scenario)


def test_the_tail_of_a_cold_start_begins_with_start(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.lines")
        outcome = await engine.invoke("f", {"count": 1, "width": 20}, log_tail=True)
        shape = [line.split(" ")[0] for line in outcome.log_tail.decode().splitlines()]
        assert shape == ["START", "x000000000.........", "END", "REPORT"]
        report = report_of(outcome)
        duration, init = (
            float(report[name].removesuffix(" ms")) for name in ("Duration", "Init Duration")
        )
        # The init of a cold start is billed, rounded up to a millisecond together with the rest.
        billed = int(report["Billed Duration"].removesuffix(" ms"))
        assert duration + init <= billed < duration + init + 1

    run_engine(scenario)


ALL = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]
LEVELS = {  # AWS_LAMBDA_LOG_LEVEL, and the level from which records are seen
    None: "WARNING",
    "DEBUG": "DEBUG",
    "TRACE": "DEBUG",
    "info": "INFO",
    "ERROR": "ERROR",
    "FATAL": "CRITICAL",
    "shout": "WARNING",
}


def test_levels_and_basic_config(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for number, (level, name) in enumerate(LEVELS.items()):
            function = f"f{number}"
            environment = {"AWS_LAMBDA_LOG_LEVEL": level} if level else {}
            await create(engine, "loglines.levels", function, environment=environment)
            outcome = await engine.invoke(function, log_tail=True)
            assert outcome.payload == f'"{name}"'.encode()
            lines = re.sub(TIME, "TIME", outcome.log_tail.decode()).splitlines()[1:-2]
            shown = ALL[ALL.index(name) :]
            request_id = outcome.request_id
            expected = [f"[{one}]\tTIME\t{request_id}\trecord" for one in shown]
            if "WARNING" in shown:  # basicConfig changed neither format nor level
                expected.append(f"[WARNING]\tTIME\t{request_id}\tafter basicConfig")
            assert lines == [*expected, "mine: after force"], level

    run_open(scenario)


def test_an_uncaught_error_is_one_record(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.fail")
        outcome = await engine.invoke("f", log_tail=True)
        error(outcome)
        lines = outcome.log_tail.decode().split("\n")[1:-3]
        assert lines[:3] == ["[ERROR] ValueError: no", "luck", "Traceback (most recent call last):"]
        # No-break spaces keep the indentation in CloudWatch's console.
        assert re.fullmatch(r'\u00a0\u00a0File ".*/loglines.py", line \d+, in fail', lines[3])
        assert lines[4:] == ["\u00a0" * 4 + 'raise ValueError("no\\nluck")']

    run_engine(scenario)


def test_twenty_megabytes_neither_hang_nor_stay_in_the_engine(run_engine: RunEngine) -> None:
    class Tally:
        """A log sink that counts and forgets."""

        size = 0

        def write(self, function: str, stream: str, data: bytes) -> None:
            self.size += len(data)

    tally = Tally()
    run_engine.log = tally  # type: ignore[assignment]

    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.lines", timeout=50)
        await engine.invoke("f", {"count": 1, "width": 100})
        tracemalloc.start()
        try:
            before = tally.size
            base, _ = tracemalloc.get_traced_memory()
            event = {"count": 20, "width": 1 << 20}
            outcome = await engine.invoke("f", event, log_tail=True)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert outcome.payload == b"null"
        assert tally.size - before > 20 << 20
        assert len(outcome.log_tail) == TAIL
        assert peak - base < 1 << 20

    run_engine(scenario)


def test_a_thread_left_running_writes_under_the_invocation_that_it_runs_in(
    run_engine: RunEngine,
) -> None:
    between = "thread, between two invocations\n"

    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.later")
        with socket.create_server(("127.0.0.1", 0)) as server:
            server.settimeout(30)
            event = {"port": server.getsockname()[1]}
            first = await engine.invoke("f", event, log_tail=True)
            # Waits without the loop: what the thread writes now is still unread when the next
            # invocation begins.
            door, _ = server.accept()
            with door, door.makefile("rb") as lines:
                door.settimeout(30)
                assert lines.readline() == b"a thread\n"
                door.sendall(b"x")
                assert lines.readline() == b"written\n"
        second = await engine.invoke("f", log_tail=True)
        # Nothing is frozen here: what is written between two invocations belongs to neither.
        assert outline(first) == ["START", "first invocation", "END", "REPORT"]
        assert outline(second) == [
            "START",
            "second invocation",
            "thread, in the next invocation",
            "second invocation ends",
            "END",
            "REPORT",
        ]
        log = run_engine.log.text()
        first_report, second_start = log.index("REPORT "), log.rindex("START ")
        assert first_report < log.index(between) < second_start

    run_engine(scenario, freeze=False)


def test_a_frozen_thread_writes_under_the_invocation_in_which_it_goes_on(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.later")
        go_on = asyncio.Event()

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await go_on.wait()
            writer.write(b"x")
            await reader.read()
            writer.close()

        async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
            event = {"port": server.sockets[0].getsockname()[1]}
            first = await engine.invoke("f", event, log_tail=True)
            await frozen(engine)
            go_on.set()
            second = await engine.invoke("f", log_tail=True)
        assert outline(first) == ["START", "first invocation", "END", "REPORT"]
        told = outline(second)
        assert sorted(told[1:4]) == [
            "second invocation",
            "thread, between two invocations",
            "thread, in the next invocation",
        ]
        assert [told[0], *told[4:]] == ["START", "second invocation ends", "END", "REPORT"]

    run_engine(scenario)


def outline(outcome: Outcome) -> list[str]:
    """The lines of the tail, the platform's by their first word."""
    lines = outcome.log_tail.decode().splitlines()
    return [re.sub("^(START|END|REPORT) .*", r"\1", line) for line in lines]


STREAMS = {
    "replace": ("printed", []),
    "none": ("printed", []),
    "swap": ("printed", ["printed while swap"]),
    "wrap": ("printed", ["printed while wrap"]),
    "original": ("printed", ["printed while original"]),
    "close descriptors": ("OSError(9, 'Bad file descriptor')", []),
    "close": ("ValueError('I/O operation on closed file.')", []),
}


def test_whatever_becomes_of_the_streams_results_and_records_arrive(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        for number, (what, (answer, printed)) in enumerate(STREAMS.items()):
            name = f"f{number}"
            await create(engine, "loglines.streams", name)
            for _ in range(2 if "close" not in what else 1):
                outcome = await engine.invoke(name, what, log_tail=True)
                assert outcome.payload == f'"{answer}"'.encode(), what
                lines = re.sub(TIME, "TIME", "\n".join(outline(outcome))).split("\n")
                record = f"[WARNING]\tTIME\t{outcome.request_id}\tlogged while {what}"
                assert lines == ["START", record, *printed, "END", "REPORT"], what
            after = await engine.invoke(name, "nothing", log_tail=True)
            assert f"{after.request_id}\tlogged while nothing\n" in after.log_tail.decode()
            assert after.context_id == outcome.context_id
            failing = {"close": answer, "close descriptors": answer}
            assert after.payload == f'"{failing.get(what, "printed")}"'.encode()

    run_engine(scenario)


def test_memory_used_is_the_peak_as_the_engine_measures_it(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        for number, event in enumerate(({}, {"free": True}, {"then": "kill"}, {"then": "sleep"})):
            name = f"f{number}"
            await create(engine, "loglines.fill", name, timeout=3, memory_size=512)
            small = memory_used(await engine.invoke(name, {"mb": 1}, log_tail=True))
            assert 1 <= small < 60
            large = memory_used(await engine.invoke(name, {"mb": 200} | event, log_tail=True))
            assert small + 190 < large < small + 230, event
        shown = await engine.invoke("f1", {"mb": 1}, log_tail=True)
        assert memory_used(shown) > 200  # the peak of the context, not of the invocation

    run_engine(scenario)
