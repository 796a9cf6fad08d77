"""Logs as they are kept: events with their bounds, in order, whoever writes, whatever happens."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import pytest
from tests.process.conftest import RunEngine
from tests.process.house import create, eventually, result, sample
from tests.process.programs import Program, client, serve

from samovar.engine import Engine
from samovar.logs.reader import Kept, Reader, Wanted, functions

pytestmark = pytest.mark.usefixtures("prepared")


def kept(data_dir: Path, function: str = "f") -> list[Kept]:
    return list(Reader(data_dir / "logs", function).read(Wanted()))


def messages(data_dir: Path, function: str = "f") -> list[str]:
    return [event.message for event in kept(data_dir, function)]


def test_every_event_with_its_invocation(run_engine: RunEngine) -> None:
    ids: list[str] = []

    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.mixed")
        ids.extend([(await engine.invoke("f")).request_id for _ in range(2)])

    run_engine(scenario, log_files=True)
    events = kept(run_engine.data_dir)
    assert {event.stream for event in events} == run_engine.log.streams()
    assert {event.group for event in events} == {"/aws/lambda/f"}
    assert [event.time for event in events] == sorted(event.time for event in events)
    init = [event.message for event in events if not event.request_id]
    assert [line.split("\t")[0] for line in init] == [
        init[0].split("\t")[0],
        "module line",
        "[WARNING]",
    ]
    assert init[0].startswith("INIT_START Runtime Version: python:")
    for request_id in ids:
        mine = [event.message for event in events if event.request_id == request_id]
        assert mine[0] == f"START RequestId: {request_id} Version: $LATEST"
        assert mine[-2] == f"END RequestId: {request_id}"
        assert mine[-1].startswith(f"REPORT RequestId: {request_id}\tDuration: ")
        # Records are one event, whatever they hold; of the rest each line is.
        assert [line.rpartition("\t")[2] for line in mine[1:-2]] == [
            *("1 print", "2 logging", "3 descriptor 1", "4 print to stderr", "5 descriptor 2"),
            *("6 subprocess", "7 its stderr", "8 no newline;9 write", "10 context.log"),
            *("11 two\nlines", "12 unprintable \\udcff", "13 no utf-8 \ufffd\ufffd", "14 самовар"),
        ]


def test_an_uncaught_error_is_one_event(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.fail")
        await engine.invoke("f")

    run_open(scenario, log_files=True)
    (error,) = [text for text in messages(run_open.data_dir) if text.startswith("[ERROR]")]
    assert error.startswith("[ERROR] ValueError: no\nluck\nTraceback (most recent call last):\n")
    assert error.endswith('raise ValueError("no\\nluck")')


def test_garbage_and_false_frames_forge_nothing_but_text(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.hostile", timeout=30)
        await create(engine, "loglines.lines", "g")
        for _ in range(2):
            assert await result(engine) == "alive"
        await engine.invoke("g", {"count": 1, "width": 20})

    run_engine(scenario, log_files=True)
    found = messages(run_engine.data_dir)
    honest = [text for text in found if text.startswith("[WARNING]\t")]
    assert [text[-8:] for text in honest] == [f"record {n}" for n in range(5)] * 2
    assert all("honest\n" in text for text in honest)
    assert [text.split(" ")[0] for text in found if text.startswith(("START ", "END "))] == [
        *("START", "END") * 2,
    ]
    assert [text.split(" ")[0] for text in messages(run_engine.data_dir, "g")][3:] == [
        *("START", "x000000000.........", "END", "REPORT"),
    ]


def test_long_records_stay_whole_in_a_crowd(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.crowd", timeout=50, memory_size=512)
        await result(engine, {"lines": 2000, "records": 20})

    run_engine(scenario, log_files=True)
    found = messages(run_engine.data_dir)
    records = [text for text in found if text.startswith("[WARNING]")]
    whole = [json.loads(text.split("\t", 3)[3]) for text in records]
    assert [item["n"] for item in whole] == list(range(20))
    assert {len(item["long"]) for item in whole} == {50_001}
    for word, writers in (("child ", 2), ("thread ", 1)):
        lines = [text for text in found if text.startswith(word)]
        assert sorted(lines) == sorted([f"{word}{n:06d}" for n in range(2000)] * writers)


def test_records_of_forks_are_told_apart(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.forked", timeout=30)
        await result(engine)

    run_open(scenario, log_files=True)
    found = [text.split("\t")[-1] for text in messages(run_open.data_dir) if "zzz" in text]
    for who in ("child", "worker"):
        mine = [text for text in found if text.startswith(who)]
        assert mine == [f"{who} {number} {'z' * 20_000}" for number in range(20)]


def test_records_of_threads_and_signals_do_not_mix(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.crossing", timeout=30)
        await result(engine)

    run_open(scenario, log_files=True)
    found = [text.split("\t")[-1] for text in messages(run_open.data_dir)[2:-2]]
    for who in ("thread", "handler"):
        mine = [text for text in found if text.startswith(who)]
        assert mine == [f"{who} {number} {who[0] * 50_000}" for number in range(20)]
    alarms = [text for text in found if text.startswith("signal")]
    assert set(alarms) == {"signal " + "s" * 9000}
    assert len(found) == 40 + len(alarms)


def test_a_pipe_that_was_made_non_blocking_loses_nothing(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.nonblocking", timeout=30)
        await result(engine)

    run_open(scenario, log_files=True)
    found = [text.split("\t")[-1] for text in messages(run_open.data_dir) if "b" * 100 in text]
    assert found == [f"{number} {'b' * 20_000}" for number in range(100)]


@pytest.mark.parametrize("how", ["nonblocking", "signals"])
def test_prints_arrive_whole(run_open: RunEngine, how: str) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "records.prints", timeout=30, memory_size=512)
        await result(engine, how)

    run_open(scenario, log_files=True)
    found = [text for text in messages(run_open.data_dir) if "ppp" in text]
    twice = [number for number in range(20) for _ in range(2)]
    assert found == [f"{number:02d}" + "p" * 300_000 for number in twice]


def test_a_deleted_functions_log_stays_and_a_silent_ones_name_is_known(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.lines")
        await create(engine, "loglines.lines", "silent")
        await engine.invoke("f", {"count": 1, "width": 20})
        await engine.delete_function("f")

    run_open(scenario, log_files=True)
    assert functions(run_open.data_dir / "logs") == ["f", "silent"]
    assert len(messages(run_open.data_dir)) == 7
    assert messages(run_open.data_dir, "silent") == []


def test_without_the_setting_there_are_no_files(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "loglines.lines")
        await engine.invoke("f", {"count": 1, "width": 20})

    run_open(scenario)
    assert not (run_open.data_dir / "logs").exists()


def test_a_killed_engine_leaves_what_it_had_and_the_next_goes_on(run_open: RunEngine) -> None:
    data_dir = run_open.data_dir

    async def main() -> None:
        with Program(*serve(data_dir, run_open.isolation)) as program:
            endpoint = program.line().split()[-1]
            aws = client(endpoint)
            await asyncio.to_thread(
                aws.create_function,
                FunctionName="f",
                Runtime=run_open.runtimes.served[0].runtime,
                Role="arn:aws:iam::000000000000:role/r",
                Handler="records.stay",
                Code={"ZipFile": sample("records")},
                Timeout=60,
            )
            waiter = aws.get_waiter("function_active_v2")
            await asyncio.to_thread(waiter.wait, FunctionName="f", WaiterConfig={"Delay": 0})
            event = json.dumps({"sleep": 60})
            call = asyncio.create_task(
                asyncio.to_thread(aws.invoke, FunctionName="f", Payload=event)
            )
            # In the middle of an invocation, once its batch is written.
            await eventually(lambda: len(messages(data_dir)) == 4, "its first lines are there")
            program.signal(signal.SIGKILL)
            await asyncio.gather(call, return_exceptions=True)
            aws.close()

    asyncio.run(main())
    before = messages(data_dir)
    assert before[2:] == ["before", before[3]]
    assert before[3].endswith("two\nlines")

    async def scenario(engine: Engine) -> None:
        await engine.registry.wait_settled("f")
        await engine.invoke("f")

    run_open(scenario, log_files=True)
    after = messages(data_dir)
    assert after[:4] == before
    assert len(after) == 10
