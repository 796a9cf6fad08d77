"""/metrics after known traffic: the numbers that were sent, under the names that are documented."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families
from tests.api.house import RawClient, invocation, request
from tests.process.conftest import RunEngine
from tests.process.house import Gate, create, eventually, states
from tests.process.witness import Court

from samovar.doors.http.serving import serving
from samovar.engine import Engine

UNQUALIFIED = {"qualifier": "$LATEST", "version": "$LATEST"}
ON_DEMAND = {"version": "$LATEST", "kind": "on-demand"}
COLD_PHASES = ("environment", "package", "init")


class Scrape:
    """One answer of /metrics, read by Prometheus's own parser."""

    def __init__(self, text: str) -> None:
        self.kinds: dict[str, str] = {}
        self._values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
        for family in text_string_to_metric_families(text):
            name = family.name + ("_total" if family.type == "counter" else "")
            self.kinds[name] = family.type
            for sample in family.samples:
                key = (sample.name, frozenset(sample.labels.items()))
                assert key not in self._values, f"twice: {key}"
                self._values[key] = sample.value

    @classmethod
    async def at(cls, port: int) -> Scrape:
        async with RawClient.to(port) as client:
            await client.send(request("GET", "/metrics"))
            reply = await client.reply()
        assert reply.status == 200
        assert reply.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        return cls(reply.body.decode())

    def get(self, name: str, **labels: str) -> float | None:
        return self._values.get((name, frozenset(labels.items())))

    def series(self, name: str, **labels: str) -> dict[str, float]:
        """The values of `name` with these labels, by the one label that is left."""
        found = {}
        for (known, pairs), value in self._values.items():
            rest = dict(pairs)
            if known == name and all(rest.pop(key, None) == it for key, it in labels.items()):
                found["".join(rest.values())] = value
        return found

    def of_function(self, function: str) -> set[str]:
        return {name for name, pairs in self._values if ("function", function) in pairs}


def documented(checkout: Path) -> dict[str, tuple[str, str]]:
    """The table of docs/metrics.md: kind and meaning by name."""
    text = (checkout / "docs" / "metrics.md").read_text()
    rows = re.findall(r"^\| `(samovar_\w+)` \| (\w+) \| .*? \| (.*) \|$", text, re.MULTILINE)
    return {name: (kind, meaning) for name, kind, meaning in rows}


async def call(port: int, name: str, body: bytes = b"{}") -> int:
    async with RawClient.to(port) as client:
        await client.send(invocation(name, body))
        return (await client.reply()).status


async def traffic(port: int) -> None:
    """f: a cold start, five warm ones of which two fail, an exit, and one after it; slow: a cold
    start that returns, then a timeout."""
    for body in (
        b"{}",
        b"{}",
        b'{"then": "raise"}',
        b"{}",
        b'{"then": "unserialisable"}',
        b"{}",
        b'{"then": "exit"}',
        b"{}",
    ):
        assert await call(port, "f", body) == 200
    assert await call(port, "slow", b'{"how": "count"}') == 200
    assert await call(port, "slow", b'{"how": "sleep"}') == 200
    assert await call(port, "f", b"no JSON") == 400
    assert await call(port, "nobody") == 404


async def check_counts(port: int, walled: bool) -> None:
    seen = await Scrape.at(port)
    count = "samovar_invocation_duration_seconds_count"
    assert seen.series(count, function="f", **UNQUALIFIED) == {"cold": 1, "warm": 7}
    assert seen.series(count, function="slow", **UNQUALIFIED) == {"cold": 1, "warm": 1}
    assert seen.series("samovar_function_errors_total", function="f", **UNQUALIFIED) == {
        "CustomError": 1,
        "Runtime.MarshalError": 1,
        "Runtime.ExitError": 1,
    }
    assert seen.series("samovar_function_errors_total", function="slow", **UNQUALIFIED) == {
        "Sandbox.Timedout": 1
    }
    assert seen.series("samovar_timeouts_total", **UNQUALIFIED) == {"f": 0, "slow": 1}
    assert seen.series("samovar_cold_starts_total", **ON_DEMAND) == {"f": 1, "slow": 1}
    phases = seen.series("samovar_cold_start_phase_seconds_count", function="f", **ON_DEMAND)
    assert phases == dict.fromkeys(COLD_PHASES, 1)
    assert seen.get("samovar_dispatch_overhead_seconds_count") == 10
    assert seen.series("samovar_throttles_total") == {}
    assert seen.series("samovar_engine_errors_total") == {}
    walls = seen.series("samovar_wall_held")
    assert walls["no_new_privs"] == 1
    # AUTO alone tries; where walls were not asked for they are missing all the same.
    assert walls["private /tmp"] == int(walled)
    # The time adds up: a timeout of a second is in there, and nothing took ten.
    total = seen.get(
        "samovar_invocation_duration_seconds_sum", function="slow", start="warm", **UNQUALIFIED
    )
    assert total is not None
    assert 1 <= total < 10
    buckets = seen.series(
        "samovar_invocation_duration_seconds_bucket", function="slow", start="warm", **UNQUALIFIED
    )
    assert (buckets["0.5"], buckets["10.0"], buckets["+Inf"]) == (0, 1, 1)


async def check_contexts(engine: Engine, port: int) -> None:
    await create(engine, "gate.wait", "gated")
    async with Gate() as gate:
        calls = [gate.invoke(engine, "gated") for _ in range(2)]
        await gate.reached(2)
        seen = await Scrape.at(port)
        assert seen.series("samovar_contexts") == {"busy": 2, "idle": 2}
        assert sum(seen.series("samovar_zygotes").values()) == 1
        # Four may be: the two idle ones give way, and for a fifth there is no room.
        calls += [gate.invoke(engine, "gated") for _ in range(2)]
        await gate.reached(4)
        assert await call(port, "f") == 429
        seen = await Scrape.at(port)
        assert seen.series("samovar_contexts").get("busy") == 4
        throttles = seen.series("samovar_throttles_total", function="f", **UNQUALIFIED)
        assert throttles == {"contexts": 1}
        gate.open()
        for one in calls:
            await one
    await eventually(lambda: states(engine) == ["idle"] * 4, "all are idle")


async def check_names(port: int, table: dict[str, tuple[str, str]]) -> None:
    seen = await Scrape.at(port)
    assert seen.kinds == {name: kind for name, (kind, _) in table.items()}
    for name, labels in (
        ("samovar_invocation_duration_seconds", {"function": "f", "start": "warm", **UNQUALIFIED}),
        ("samovar_dispatch_overhead_seconds", {}),
        ("samovar_cold_start_phase_seconds", {"function": "f", "phase": "init", **ON_DEMAND}),
    ):
        bounds = [float(bound) for bound in seen.series(f"{name}_bucket", **labels)]
        listed = table[name][1].partition("Buckets: ")[2].rstrip(".").split(", ")
        assert bounds == [*map(float, listed), float("inf")]
    durations = seen.series(
        "samovar_invocation_duration_seconds_bucket", function="f", start="warm", **UNQUALIFIED
    )
    assert next(iter(durations)) == "0.0005"


def test_the_numbers_are_those_of_the_traffic(run_engine: RunEngine, checkout: Path) -> None:
    async def scenario(engine: Engine) -> None:
        async with serving(engine) as endpoint:
            port = int(endpoint.rpartition(":")[2])
            await create(engine, "life.mixed")
            await create(engine, "endings.end", "slow", timeout=1)
            await traffic(port)
            await check_counts(port, run_engine.walled)
            await check_contexts(engine, port)
            await check_names(port, documented(checkout))
            await engine.delete_function("slow")
            seen = await Scrape.at(port)
            assert seen.of_function("slow") == set()
            assert seen.get("samovar_cold_starts_total", function="f", **ON_DEMAND) == 1

    run_engine(scenario, port=0, max_contexts=4)


OF_VERSION = {"function": "f", "version": "$LATEST"}
OF_F = {"function": "f", **UNQUALIFIED}


def check_concurrency(seen: Scrape) -> None:
    """Two provisioned contexts and one on demand run, of a function that has reserved three."""
    provisioned = "samovar_provisioned_concurrency"
    assert seen.get(f"{provisioned}_requested", **OF_VERSION) == 2
    assert seen.get(f"{provisioned}_ready", **OF_VERSION) == 2
    assert seen.get(f"{provisioned}_utilization_ratio", **OF_VERSION) == 1
    assert seen.get("samovar_concurrent_executions", **OF_F) == 3
    assert seen.get("samovar_account_concurrent_executions") == 3
    assert seen.get("samovar_account_unreserved_concurrent_executions") == 0
    assert seen.get("samovar_account_claimed_concurrency") == 3
    assert seen.get("samovar_account_concurrency_limit") == 1000
    assert seen.get("samovar_reserved_concurrency", function="f") == 3


def check_what_was(seen: Scrape, told: Counter[str]) -> None:
    """The same beside what the handlers said while it was."""
    starts = seen.series("samovar_invocation_duration_seconds_count", **OF_F)
    assert starts == {"provisioned": 2, "cold": 1}
    kinds = seen.series("samovar_cold_starts_total", **OF_VERSION)
    assert kinds == {"provisioned-concurrency": 2, "on-demand": 1}
    assert told == {"init": sum(kinds.values()), "invoke": sum(starts.values())}
    assert seen.get("samovar_provisioned_spillover_invocations_total", **OF_F) == 1
    throttles = seen.series("samovar_throttles_total", **OF_F)
    assert throttles == {"reserved concurrency": 1}
    assert seen.get("samovar_concurrent_executions", **OF_F) == 0


def test_concurrency_is_what_handlers_say_of_it(run_open: RunEngine) -> None:
    """Two provisioned contexts, three invocations at once, and a fourth that is refused."""

    async def scenario(engine: Engine) -> None:
        async with Court() as court, serving(engine) as endpoint:
            port = int(endpoint.rpartition(":")[2])
            await create(engine, "witness.handler", environment={"INIT_PORT": str(court.port)})
            version = engine.registry.resolve("f")
            scheduler = engine._parts.scheduler
            scheduler.provision(version, 2)
            await court.reached(2)
            seen = await Scrape.at(port)
            assert seen.get("samovar_provisioned_concurrency_requested", **OF_VERSION) == 2
            assert seen.get("samovar_provisioned_concurrency_ready", **OF_VERSION) == 0
            court.open(2)
            await eventually(lambda: scheduler.provisioned(version).ready == 2, "both are ready")
            scheduler.reserve(version.arn, 3)
            calls = [court.invoke(engine) for _ in range(2)]
            await court.reached(2)
            calls.append(court.invoke(engine))
            await court.reached(3)
            court.open_last()  # from its init to its invocation
            await eventually(lambda: court.phases().count("invoke") == 3, "all three run")
            assert await call(port, "f") == 429
            check_concurrency(await Scrape.at(port))
            court.open()
            for one in calls:
                await one
            check_what_was(await Scrape.at(port), Counter(court.phases()))
            document = await engine.census()
            (entry,) = document["functions"]
            assert entry["reserved_concurrency"] == 3
            (shown,) = entry["versions"]
            assert shown["provisioned"] == {
                "requested": 2,
                "ready": 2,
                "busy": 0,
                "failed": False,
            }
            assert shown["spillovers"] == 1
            assert shown["cold_starts"] == {"provisioned-concurrency": 2, "on-demand": 1}
            assert sorted(one["initialization"] for one in document["contexts"]) == [
                "on-demand",
                "provisioned-concurrency",
                "provisioned-concurrency",
            ]

    run_open(scenario, port=0)


async def publish(engine: Engine, edition: str) -> str:
    await engine.update_function("f", environment={"EDITION": edition})
    version = await engine.registry.versions.publish("f")
    await engine.registry.wait_settled("f", version.version)
    return version.version


def test_an_aliass_invocations_are_counted_by_what_they_came_to(run_open: RunEngine) -> None:
    async def scenario(engine: Engine) -> None:
        await create(engine, "events.handler")
        one, two = [await publish(engine, edition) for edition in ("old", "new")]
        await engine.registry.aliases.create("f", "live", one, routing={two: 0.5})
        said: Counter[tuple[str, str]] = Counter()
        for qualifier in (*["live"] * 20, one, "$LATEST", None):
            outcome = await engine.invoke("f", qualifier=qualifier)
            ran = json.loads(outcome.payload)["version"]
            said[qualifier or "$LATEST", ran] += 1
        assert {("live", one), ("live", two)} < set(said)

        def counted() -> Counter[tuple[str, str]]:
            seen = Scrape(engine.metrics_text().decode())
            name = "samovar_invocation_duration_seconds_count"
            found: Counter[tuple[str, str]] = Counter()
            for qualifier, version in said:
                starts = seen.series(name, function="f", qualifier=qualifier, version=version)
                if starts:
                    found[qualifier, version] = int(sum(starts.values()))
            return found

        assert counted() == said
        await engine.registry.aliases.update("f", "live", function_version=two, routing={})
        assert counted() == {key: n for key, n in said.items() if key != ("live", one)}
        await engine.registry.versions.delete("f", one)
        left = {("live", two), ("$LATEST", "$LATEST")}
        assert counted() == {key: n for key, n in said.items() if key in left}
        await engine.registry.aliases.delete("f", "live")
        assert set(counted()) == {("$LATEST", "$LATEST")}
        cold = Scrape(engine.metrics_text().decode()).series(
            "samovar_cold_starts_total", function="f", kind="on-demand"
        )
        assert cold == {"$LATEST": 1, two: 1}

    run_open(scenario)


@pytest.mark.parametrize("path", ["/metrics", "/_samovar/metrics"])
def test_an_engine_without_traffic_has_every_name(
    run_open: RunEngine, checkout: Path, path: str
) -> None:
    async def scenario(engine: Engine) -> None:
        async with serving(engine) as endpoint:
            port = int(endpoint.rpartition(":")[2])
            async with RawClient.to(port) as client:
                await client.send(request("GET", path))
                text = (await client.reply()).body.decode()
        seen = Scrape(text)
        assert set(seen.kinds) == set(documented(checkout))
        assert seen.series("samovar_contexts") == {}

    run_open(scenario, port=0)
