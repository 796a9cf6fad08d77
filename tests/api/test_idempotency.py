"""`examples/idempotency`: the same event twice, and what each of its handlers makes of it.

Every field of the table in the example's README is a test here.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest
from tests.api.neighbour import Neighbour
from tests.api.served import Serve, ServedHouse

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "idempotency"
MORTAL = Path(__file__).resolve().parents[1] / "functions" / "mortal.py"
VENDORED = ("aws-lambda-powertools", "typing-extensions")

DOLLARS = {"add": 10, "set": 20, "add_once": 10, "add_with_receipt": 10}
DEATH = base64.b64encode(json.dumps({"custom": {"die": True}}).encode()).decode()


@pytest.fixture(scope="module")
def package() -> bytes:
    """The example's handlers, what kills them, and Powertools beside them as one vendors it."""
    files = {path.name: path for path in [*EXAMPLE.glob("*.py"), MORTAL]}
    for name in VENDORED:
        for file in distribution(name).files or ():
            if file.suffix == ".py":
                files[str(file)] = Path(str(file.locate()))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, path in sorted(files.items()):
            archive.writestr(name, path.read_bytes())
    return buffer.getvalue()


@dataclass(frozen=True)
class Tables:
    """A table of balances and one of the ids that were seen, with a name of their own."""

    client: Any
    balances: str
    seen: str

    def balances_of(self) -> dict[str, int]:
        """The dollars by account; each handler has one of its own, called after it."""
        items = self.client.scan(TableName=self.balances)["Items"]
        return {item["account"]["S"]: int(item["dollars"]["N"]) for item in items}

    def ids(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = self.client.scan(TableName=self.seen)["Items"]
        return items

    def let_time_pass(self) -> None:
        """Have the time limit of all that is under way lie in the past."""
        for item in self.ids():
            item["in_progress_expiration"] = {"N": "1"}
            self.client.put_item(TableName=self.seen, Item=item)


@pytest.fixture
def tables(moto: Neighbour, request: pytest.FixtureRequest) -> Iterator[Tables]:
    name = "".join(letter if letter.isalnum() else "-" for letter in request.node.name)
    with moto.client("dynamodb") as client:
        made = Tables(client, f"{name}-balances", f"{name}-seen")
        for table, key in ((made.balances, "account"), (made.seen, "id")):
            client.create_table(
                TableName=table,
                KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
                AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
                BillingMode="PAY_PER_REQUEST",
            )
        yield made


@dataclass(frozen=True)
class Example:
    """All handlers of the example, each a function called after its module."""

    it: ServedHouse
    tables: Tables

    async def deliver(self, name: str, number: int = 17, **told: str) -> Any:
        """Invoke with the event of that number; the result, or the error's type."""
        event = {"id": f"{name}-{number}", "account": name, "dollars": DOLLARS[name]}
        reply = await self.it.call(
            "invoke", FunctionName=name, Payload=json.dumps(event).encode(), **told
        )
        said = json.loads(reply["Payload"].read())
        return said.get("errorType", "?") if "FunctionError" in reply else said

    async def balances(self) -> dict[str, int]:
        return await asyncio.to_thread(self.tables.balances_of)


Play = Callable[[Callable[[Example], Awaitable[None]]], None]


@pytest.fixture
def play(serve: Serve, moto: Neighbour, tables: Tables, package: bytes) -> Play:
    """Call it with a scene."""

    def run(scene: Callable[[Example], Awaitable[None]]) -> None:
        async def deployed(it: ServedHouse) -> None:
            for name in DOLLARS:
                variables = {"EXAMPLE": name, "BALANCES": tables.balances, "SEEN": tables.seen}
                await it.create(
                    name,
                    Code={"ZipFile": package},
                    Handler="mortal.handler",
                    Timeout=30,
                    MemorySize=512,
                    Environment={"Variables": variables},
                )
                await it.engine.registry.wait_settled(name)
            await scene(Example(it, tables))

        serve(deployed, aws_endpoint=moto.url)

    return run


def test_the_same_event_twice(play: Play) -> None:
    async def scene(example: Example) -> None:
        first = {name: await example.deliver(name) for name in DOLLARS}
        assert await example.balances() == DOLLARS
        second = {name: await example.deliver(name) for name in DOLLARS}
        assert await example.balances() == {
            "add": 20,  # wrong
            "set": 20,
            "add_once": 10,
            "add_with_receipt": 10,
        }
        assert first["add_once"] == second["add_once"] == {"account": "add_once", "dollars": 10}
        assert second["add_with_receipt"] == {
            "account": "add_with_receipt",
            "added": 0,
            "before": True,
        }
        # Another event is no duplicate, even if it says the same.
        for name in DOLLARS:
            await example.deliver(name, 18)
        assert await example.balances() == {
            "add": 30,
            "set": 20,
            "add_once": 20,
            "add_with_receipt": 20,
        }

    play(scene)


def test_killed_between_the_change_and_the_answer(play: Play, tables: Tables) -> None:
    """The sender hears of nothing that was done, and sends the same event again."""

    async def scene(example: Example) -> None:
        for name in DOLLARS:
            assert await example.deliver(name, ClientContext=DEATH) == "Runtime.ExitError", name
        assert await example.balances() == DOLLARS
        again = {name: await example.deliver(name) for name in DOLLARS}
        assert await example.balances() == {
            "add": 20,  # wrong
            "set": 20,
            "add_once": 10,
            "add_with_receipt": 10,
        }
        assert again["add"]["dollars"] == 20
        assert again["add_with_receipt"]["before"] is True

        # Powertools: right for as long as the first one might still be at work, …
        assert again["add_once"] == "IdempotencyAlreadyInProgressError"
        assert await example.deliver("add_once") == "IdempotencyAlreadyInProgressError"
        # … and the gap behind that.
        await asyncio.to_thread(tables.let_time_pass)
        assert (await example.deliver("add_once"))["dollars"] == 20
        assert (await example.balances())["add_once"] == 20

    play(scene)


def test_the_readme_tells_what_is_tested() -> None:
    lines = (EXAMPLE / "README.md").read_text().splitlines()
    table = {line.split("`")[1]: line.split("|")[2:4] for line in lines if line.startswith("| [`")}
    told = {module: [field.strip() for field in fields] for module, fields in table.items()}
    assert told == {
        "add.py": ["20: **wrong**", "20: **wrong**"],
        "set.py": ["20: right", "20: right"],
        "add_once.py": [
            "10: right",
            "10, and an error until the first one's time is over; **20** after that",
        ],
        "add_with_receipt.py": ["10: right", "10: right"],
    }
    assert set(told) == {path.name for path in EXAMPLE.glob("*.py")}
