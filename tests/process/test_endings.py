"""The process ends without an answer: AWS's words for each way, and what is lost and kept."""

from __future__ import annotations

import re

from tests.process.conftest import RunEngine
from tests.process.house import create, error, result

from samovar.engine import Engine

EXITS = {
    "sys.exit(0)": "Runtime exited without providing a reason",
    "sys.exit()": "Runtime exited without providing a reason",
    "sys.exit(3)": "Runtime exited with error: exit status 3",
    "sys.exit(text)": "Runtime exited with error: exit status 1",
    "os._exit(5)": "Runtime exited with error: exit status 5",
    "interrupt": "Runtime exited with error: exit status 1",
    "kill": "Runtime exited with error: signal: killed",
    "terminate": "Runtime exited with error: signal: terminated",
    "segfault": "Runtime exited with error: signal: segmentation fault",
    "abort": "Runtime exited with error: signal: aborted",
}


def test_an_exit_has_its_text_loses_globals_and_keeps_tmp(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.end")
        first = await engine.invoke("f", {"how": "count"})
        in_tmp = 1
        for how, text in EXITS.items():
            outcome = await engine.invoke("f", {"how": how}, log_tail=True)
            in_tmp += 1
            told = error(outcome)
            assert list(told.items()) == [
                ("errorType", "Runtime.ExitError"),
                ("errorMessage", f"RequestId: {outcome.request_id} Error: {text}"),
            ], how
            assert outcome.error_type == "Runtime.ExitError"
            report = outcome.log_tail.decode().splitlines()[-1]
            assert report.endswith("\tStatus: error\tError Type: Runtime.ExitError\t"), how
            after = await engine.invoke("f", {"how": "count"}, log_tail=True)
            in_tmp += 1
            assert after.context_id == first.context_id
            assert after.payload == b'{"globals": 1, "tmp": %d}' % in_tmp, how
            # The init runs again, within the invocation: its time counts, but is not shown.
            tail = after.log_tail.decode()
            assert "module line" in tail
            assert "Init Duration" not in tail
        assert run_engine.log.text().count("INIT_START") == 1
        assert run_engine.log.text().count("Init Duration") == 1
        assert "that was it\n" in run_engine.log.text()

    run_engine(scenario)


def test_a_timeout(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.end", timeout=1)
        await result(engine, {"how": "count"})
        outcome = await engine.invoke("f", {"how": "sleep"}, log_tail=True)
        text = f"RequestId: {outcome.request_id} Error: Task timed out after 1.00 seconds"
        assert list(error(outcome).items()) == [
            ("errorType", "Sandbox.Timedout"),
            ("errorMessage", text),
        ]
        assert outcome.duration == 1.0
        report = outcome.log_tail.decode().splitlines()[-1]
        assert "\tDuration: 1000.00 ms\tBilled Duration: 1000 ms\t" in report
        assert report.endswith("\tStatus: timeout\t")
        assert await result(engine, {"how": "count"}) == {"globals": 1, "tmp": 3}
        assert run_engine.log.text().count("INIT_START") == 1

    run_engine(scenario)


def test_exit_handlers_run(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.end")
        await engine.invoke("f", {"how": "atexit"})
        assert "exit handler line\n" in run_engine.log.text()

    run_engine(scenario)


def test_a_second_init_writes_its_output_before_start(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "endings.end")
        await engine.invoke("f", {"how": "kill"})
        outcome = await engine.invoke("f", {"how": "count"}, log_tail=True)
        shape = re.sub(r" .*", "", outcome.log_tail.decode().replace("\t", " "), flags=re.M)
        assert shape.split() == ["module", "START", "handler", "END", "REPORT"]

    run_engine(scenario)
