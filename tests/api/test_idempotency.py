"""`examples/idempotency`: the same event twice, and what each of its handlers makes of it.

Every field of the table in the example's README is a test here.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import zipfile
from collections.abc import Callable, Iterator
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

EVENT = {"id": "payment-17", "account": "alice", "dollars": 10}
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

    def balance(self) -> int:
        found = self.client.get_item(TableName=self.balances, Key={"account": {"S": "alice"}})
        return int(found["Item"]["dollars"]["N"])

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
class Function:
    """One handler of the example, deployed."""

    it: ServedHouse
    tables: Tables

    async def deliver(self, event: dict[str, Any], **told: str) -> Any:
        """Invoke; the result, or the error's type."""
        reply = await self.it.call(
            "invoke", FunctionName="f", Payload=json.dumps(event).encode(), **told
        )
        said = json.loads(reply["Payload"].read())
        return said.get("errorType", "?") if "FunctionError" in reply else said

    async def kill(self, event: dict[str, Any]) -> None:
        """Deliver, and let the context die when the change is made: the sender hears of nothing
        that was done."""
        assert await self.deliver(event, ClientContext=DEATH) == "Runtime.ExitError"

    async def balance(self) -> int:
        return await asyncio.to_thread(self.tables.balance)


Play = Callable[[str, Callable[[Function], Any]], None]


@pytest.fixture
def play(serve: Serve, moto: Neighbour, tables: Tables, package: bytes) -> Play:
    """Call it with a handler's module and a scene."""

    def run(module: str, scene: Callable[[Function], Any]) -> None:
        async def deployed(it: ServedHouse) -> None:
            variables = {"EXAMPLE": module, "BALANCES": tables.balances, "SEEN": tables.seen}
            await it.create(
                Code={"ZipFile": package},
                Handler="mortal.handler",
                Timeout=30,
                MemorySize=512,
                Environment={"Variables": variables},
            )
            await it.engine.registry.wait_settled("f")
            await scene(Function(it, tables))

        serve(deployed, aws_endpoint=moto.url)

    return run


@pytest.mark.parametrize(
    ("module", "dollars", "left"),
    [("add", 10, 20), ("set", 20, 20), ("add_once", 10, 10), ("add_with_receipt", 10, 10)],
    ids=["add is wrong", "set is right", "add with Powertools", "add with a receipt"],
)
def test_the_same_event_twice(play: Play, module: str, dollars: int, left: int) -> None:
    event = {**EVENT, "dollars": dollars}

    async def scene(function: Function) -> None:
        first = await function.deliver(event)
        assert first["account"] == "alice"
        assert await function.balance() == dollars
        second = await function.deliver(event)
        assert second["account"] == "alice"
        assert await function.balance() == left
        if module == "add_once":
            assert second == first == {"account": "alice", "dollars": 10}
        # Another event is no duplicate, whatever it says.
        await function.deliver({**event, "id": "payment-18"})
        assert await function.balance() == (20 if module == "set" else left + 10)

    play(module, scene)


@pytest.mark.parametrize(
    ("module", "dollars", "left"),
    [("add", 10, 20), ("set", 20, 20), ("add_with_receipt", 10, 10)],
    ids=["add is wrong", "set is right", "add with a receipt"],
)
def test_killed_between_the_change_and_the_answer(
    play: Play, module: str, dollars: int, left: int
) -> None:
    event = {**EVENT, "dollars": dollars}

    async def scene(function: Function) -> None:
        await function.kill(event)
        assert await function.balance() == dollars
        assert (await function.deliver(event))["account"] == "alice"
        assert await function.balance() == left

    play(module, scene)


def test_powertools_and_a_death_in_the_middle(play: Play, tables: Tables) -> None:
    """Right for as long as the first delivery might still be at work, and the gap behind that."""

    async def scene(function: Function) -> None:
        await function.kill(EVENT)
        assert await function.balance() == 10
        (note,) = await asyncio.to_thread(tables.ids)
        assert note["status"]["S"] == "INPROGRESS"
        assert await function.deliver(EVENT) == "IdempotencyAlreadyInProgressError"
        assert await function.balance() == 10

        await asyncio.to_thread(tables.let_time_pass)
        assert (await function.deliver(EVENT))["dollars"] == 20
        assert await function.balance() == 20

    play("add_once", scene)


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
