"""Globals and /tmp live as long as their context; an exception of the handler costs neither."""

from __future__ import annotations

import json

from tests.process.conftest import RunEngine
from tests.process.house import create, error, result

from samovar.engine import Engine
from samovar.model.invocation import StartKind


def test_globals_and_tmp_live_as_long_as_the_context(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count")
        outcomes = [await engine.invoke("f") for _ in range(3)]
        seen = [json.loads(outcome.payload) for outcome in outcomes]
        assert [one["globals"] for one in seen] == [1, 2, 3]
        assert [one["tmp"] for one in seen] == [1, 2, 3]
        assert len({(one["pid"], one["born"], one["stream"]) for one in seen}) == 1
        assert [outcome.start for outcome in outcomes] == [
            StartKind.COLD,
            StartKind.WARM,
            StartKind.WARM,
        ]
        assert len({outcome.context_id for outcome in outcomes}) == 1
        assert outcomes[0].cold_start is not None
        assert outcomes[1].cold_start is None

    run_engine(scenario)


def test_a_new_context_is_clean(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count", "one")
        await create(engine, "life.count", "two")
        first = await result(engine, name="one")
        second = await result(engine, name="two")
        assert (second["globals"], second["tmp"]) == (1, 1)
        assert first["stream"] != second["stream"]

    run_engine(scenario)


def test_a_handlers_exception_is_reported_and_keeps_the_context_warm(
    run_engine: RunEngine,
) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed")
        await result(engine)
        outcome = await engine.invoke("f", {"then": "raise", "what": "lück"})
        assert outcome.error_type == "CustomError"
        told = error(outcome)
        assert list(told) == ["errorMessage", "errorType", "requestId", "stackTrace"]
        assert told["errorMessage"] == "no lück"
        assert told["errorType"] == "CustomError"
        assert told["requestId"] == outcome.request_id
        # Two frames, both of the function's own: nothing of the worker shows.
        root = "/var/task" if run_engine.walled else ""
        assert [frame.splitlines()[1].strip() for frame in told["stackTrace"]] == [
            '_deeper("no " + event.get("what", "luck"))',
            "raise CustomError(text)",
        ]
        for frame, name in zip(told["stackTrace"], ("mixed", "_deeper"), strict=True):
            assert frame.startswith(f'  File "{root}')
            assert '/life.py", line ' in frame
            assert frame.splitlines()[0].endswith(f", in {name}")
            assert frame.endswith("\n")
        after = await result(engine)
        assert (after["globals"], after["tmp"]) == (3, 3)

    run_engine(scenario)


def test_a_result_that_is_no_json_keeps_the_context_warm(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.mixed")
        outcome = await engine.invoke("f", {"then": "unserialisable"})
        assert error(outcome) == {
            "errorMessage": "Unable to marshal response: Object of type set is not JSON "
            "serializable",
            "errorType": "Runtime.MarshalError",
            "requestId": outcome.request_id,
            "stackTrace": [],
        }
        after = await result(engine)
        assert (after["globals"], after["tmp"]) == (2, 2)

    run_engine(scenario)


def test_a_bad_client_context_keeps_the_context_warm(run_engine: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "life.count")
        await result(engine)
        outcome = await engine.invoke("f", client_context="{")
        told = error(outcome)
        assert told["errorType"] == "Runtime.LambdaContextUnmarshalError"
        assert told["errorMessage"].startswith("Unable to parse Client Context JSON: ")
        assert (told["requestId"], told["stackTrace"]) == (outcome.request_id, [])
        assert (await result(engine))["globals"] == 2

    run_engine(scenario)
