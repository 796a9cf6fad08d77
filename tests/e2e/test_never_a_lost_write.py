"""What was acknowledged is there: in any order of requests, at the same time, and past a kill -9.

The same sequences in every run; `SEQUENCES=50` makes that many, and others every time (with
`-o faulthandler_timeout=0`).
"""

from __future__ import annotations

import json
import os
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.api.house import SESSION
from tests.e2e.house import ARN, new, zipped
from tests.process.programs import PATIENCE, Program, serve

ASKED = os.environ.get("SEQUENCES")
ENOUGH = 8  # writes before an engine is killed: a start takes a second
NAMES = st.sampled_from(["a", "b"])
NUMBERS = st.integers(1, 9)
KEYS = st.sampled_from(["k", "l", "m"])
TAGS = st.dictionaries(KEYS, st.sampled_from(["", "1", "wert ü"]), min_size=1, max_size=2)
SOURCE = """\
import os
def handler(event, context):
    return [{edition}, os.environ.get("NUMBER")]
"""


@dataclass(frozen=True)
class Kept:
    """What a function is to be. `versions` are edition, number, description and timeout of those
    that are published; `alias` is the version that it stands for, 0 if there is none."""

    edition: int
    number: int | None = None
    description: str = ""
    timeout: int = 3
    tags: dict[str, str] = field(default_factory=dict)
    versions: tuple[tuple[int, int | None, str, int], ...] = ()
    alias: int = 0


def code(edition: int) -> bytes:
    return zipped({"app.py": SOURCE.format(edition=edition)})


class Writes(RuleBasedStateMachine):
    """An engine in a process of its own, and what it must know by now."""

    place: Path  # a subclass of each test says where

    def __init__(self) -> None:
        super().__init__()
        self.data_dir = Path(tempfile.mkdtemp(dir=self.place))
        self.known: dict[str, Kept] = {}
        self.writes = 0  # since the engine started
        self.program: Program | None = None
        self.aws: Any = None

    @initialize()
    def begin(self) -> None:
        self.start()
        self.create("a", 1, None, {})

    def start(self) -> None:
        self.writes = 0
        self.program = Program(*serve(self.data_dir, "none", "--spares", "0"))
        self.aws = SESSION.client(
            "lambda",
            endpoint_url=self.program.line().rpartition(" ")[2],
            config=Config(retries={"total_max_attempts": 1}, read_timeout=PATIENCE),
        )

    def teardown(self) -> None:
        """The last kill of each sequence, for what was written after the others."""
        try:
            if self.program is not None:
                self.kill()
        finally:
            self.end()

    def end(self) -> None:
        if self.aws is not None:
            self.aws.close()
        if self.program is not None:
            self.program.kill()
        self.aws = self.program = None

    # -- asking

    def ask(self, operation: str, **params: Any) -> Any:
        """The reply, or the code of the error."""
        self.writes += not operation.startswith(("get", "list", "invoke"))
        try:
            return getattr(self.aws, operation)(**params)
        except ClientError as error:
            return error.response["Error"]["Code"]

    def settled(self, name: str) -> Any:
        """The function's configuration once nothing is under way; the code of the error if it is
        not there."""
        while True:
            found = self.ask("get_function_configuration", FunctionName=name)
            if not isinstance(found, dict):
                return found
            assert found["State"] in ("Pending", "Active"), found
            if found["State"] == "Active" and found["LastUpdateStatus"] != "InProgress":
                assert found["LastUpdateStatus"] == "Successful"
                return found

    def expect(self, reply: Any, name: str) -> bool:
        """Whether the write went through; it may fail only because there is no such function."""
        if name in self.known:
            assert isinstance(reply, dict), reply
            return True
        assert reply == "ResourceNotFoundException"
        return False

    # -- writing

    @rule(name=NAMES, edition=NUMBERS, number=st.none() | NUMBERS, tags=st.just({}) | TAGS)
    def create(self, name: str, edition: int, number: int | None, tags: dict[str, str]) -> None:
        params = new(name, Code={"ZipFile": code(edition)}, Tags=tags)
        if number is not None:
            params["Environment"] = {"Variables": {"NUMBER": str(number)}}
        reply = self.ask("create_function", **params)
        if name in self.known:
            assert reply == "ResourceConflictException"
        else:
            assert isinstance(reply, dict), reply
            self.known[name] = Kept(edition, number, tags=tags)

    @rule(name=NAMES, edition=NUMBERS, dry=st.booleans())
    def update_code(self, name: str, edition: int, dry: bool) -> None:
        self.settled(name)
        reply = self.ask(
            "update_function_code", FunctionName=name, ZipFile=code(edition), DryRun=dry
        )
        if self.expect(reply, name) and not dry:
            self.known[name] = replace(self.known[name], edition=edition)

    @rule(name=NAMES, number=st.none() | NUMBERS, timeout=st.none() | NUMBERS)
    def update_configuration(self, name: str, number: int | None, timeout: int | None) -> None:
        self.settled(name)
        changes: dict[str, Any] = {}
        if number is not None:
            changes["Environment"] = {"Variables": {"NUMBER": str(number)}}
        if timeout is not None:
            changes["Timeout"] = timeout
        reply = self.ask("update_function_configuration", FunctionName=name, **changes)
        if self.expect(reply, name):
            kept = self.known[name]
            self.known[name] = replace(
                kept, number=number or kept.number, timeout=timeout or kept.timeout
            )

    @rule(name=NAMES, description=st.text("ab ü", max_size=5), right=st.booleans())
    def update_a_revision(self, name: str, description: str, right: bool) -> None:
        found = self.settled(name)
        revision = found["RevisionId"] if right and isinstance(found, dict) else "0" * 8
        reply = self.ask(
            "update_function_configuration",
            FunctionName=name,
            Description=description,
            RevisionId=revision,
        )
        if right or name not in self.known:
            if self.expect(reply, name):
                self.known[name] = replace(self.known[name], description=description)
        else:
            assert reply == "PreconditionFailedException"

    @rule(name=NAMES, tags=TAGS)
    def tag(self, name: str, tags: dict[str, str]) -> None:
        self.settled(name)
        reply = self.ask("tag_resource", Resource=ARN + name, Tags=tags)
        if self.expect(reply, name):
            kept = self.known[name]
            self.known[name] = replace(kept, tags={**kept.tags, **tags})

    @rule(name=NAMES, keys=st.lists(KEYS, min_size=1, max_size=2))
    def untag(self, name: str, keys: list[str]) -> None:
        self.settled(name)
        reply = self.ask("untag_resource", Resource=ARN + name, TagKeys=keys)
        if self.expect(reply, name):
            kept = self.known[name]
            left = {key: value for key, value in kept.tags.items() if key not in keys}
            self.known[name] = replace(kept, tags=left)

    @rule(name=NAMES)
    def publish(self, name: str) -> None:
        self.settled(name)
        reply = self.ask("publish_version", FunctionName=name)
        if not self.expect(reply, name):
            return
        kept = self.known[name]
        now = (kept.edition, kept.number, kept.description, kept.timeout)
        if kept.versions[-1:] != (now,):
            kept = self.known[name] = replace(kept, versions=(*kept.versions, now))
        assert reply["Version"] == str(len(kept.versions))

    @rule(name=NAMES, number=NUMBERS)
    def point(self, name: str, number: int) -> None:
        kept = self.known.get(name)
        operation = "update_alias" if kept and kept.alias else "create_alias"
        reply = self.ask(operation, FunctionName=name, Name="live", FunctionVersion=str(number))
        if kept is None or number > len(kept.versions):
            assert reply == "ResourceNotFoundException"
        else:
            assert isinstance(reply, dict), reply
            self.known[name] = replace(kept, alias=number)

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.expect(self.ask("delete_function", FunctionName=name), name):
            del self.known[name]

    # -- at the same time, and cut short

    @rule(name=NAMES, numbers=st.lists(NUMBERS, min_size=2, max_size=3))
    def update_at_once(self, name: str, numbers: list[int]) -> None:
        self.settled(name)

        def update(number: int) -> Any:
            return self.ask(
                "update_function_configuration", FunctionName=name, Description=str(number)
            )

        with ThreadPoolExecutor(len(numbers)) as pool:
            replies = list(pool.map(update, numbers))
        if name not in self.known:
            assert set(replies) == {"ResourceNotFoundException"}
            return
        won = {reply["Description"] if isinstance(reply, dict) else reply for reply in replies} - {
            "ResourceConflictException"
        }
        assert won and won <= set(map(str, numbers)), replies
        shown = self.settled(name)["Description"]
        assert shown in won
        self.known[name] = replace(self.known[name], description=shown)

    @rule(name=NAMES, editions=st.lists(NUMBERS, min_size=2, max_size=3, unique=True))
    def create_at_once(self, name: str, editions: list[int]) -> None:
        packages = {edition: code(edition) for edition in editions}

        def create(edition: int) -> Any:
            return self.ask("create_function", **new(name, Code={"ZipFile": packages[edition]}))

        with ThreadPoolExecutor(len(editions)) as pool:
            replies = dict(zip(editions, pool.map(create, editions), strict=True))
        won = [edition for edition, reply in replies.items() if isinstance(reply, dict)]
        lost = {reply for reply in replies.values() if not isinstance(reply, dict)}
        assert lost <= {"ResourceConflictException"}
        if name in self.known:
            assert won == []
        else:
            (edition,) = won
            self.known[name] = Kept(edition)

    @precondition(lambda self: self.writes >= ENOUGH)
    @rule(name=NAMES, edition=NUMBERS)
    def kill_during_a_write(self, name: str, edition: int) -> None:
        self.settled(name)

        def write() -> Any:
            try:
                if name in self.known:
                    return self.ask(
                        "update_function_code", FunctionName=name, ZipFile=code(edition)
                    )
                return self.ask("create_function", **new(name, Code={"ZipFile": code(edition)}))
            except BotoCoreError as error:
                return error

        assert self.program is not None
        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write)
            self.program.kill()
            reply = writing.result()
        note(f"{reply}")
        answered = not isinstance(reply, BotoCoreError)  # else the connection broke
        before = self.known.get(name)
        after = replace(before, edition=edition) if before else Kept(edition)
        self.restart()
        if not answered:
            found = self.settled(name)
            done = isinstance(found, dict) and self.result(name)[0] == edition
            assert done or isinstance(found, dict) == (before is not None)
            if not done:
                return
        self.known[name] = after

    @precondition(lambda self: self.writes >= ENOUGH)
    @rule()
    def kill(self) -> None:
        assert self.program is not None
        self.program.kill()
        self.restart()
        self.everything_is_there()

    def restart(self) -> None:
        self.end()
        self.start()

    # -- reading

    def result(self, name: str) -> Any:
        return json.load(self.aws.invoke(FunctionName=name)["Payload"])

    def active(self, name: str) -> None:
        """Wait for the version that the alias stands for."""
        while self.aws.get_function(FunctionName=name)["Configuration"]["State"] == "Pending":
            pass

    @rule(name=NAMES)
    def invoke(self, name: str) -> None:
        self.settled(name)
        if name in self.known:
            kept = self.known[name]
            number = None if kept.number is None else str(kept.number)
            assert self.result(name) == [kept.edition, number]
            if kept.alias:
                self.active(f"{name}:live")
                edition, published, *_ = kept.versions[kept.alias - 1]
                number = None if published is None else str(published)
                assert self.result(f"{name}:live") == [edition, number]
        else:
            assert self.ask("invoke", FunctionName=name) == "ResourceNotFoundException"

    @invariant()
    def everything_is_there(self) -> None:
        if self.aws is None:  # not started yet
            return
        listed = self.ask("list_functions")["Functions"]
        assert [item["FunctionName"] for item in listed] == sorted(self.known)
        for name, kept in self.known.items():
            found = self.ask("get_function", FunctionName=name)
            assert isinstance(found, dict), found
            shown = found["Configuration"]
            variables = shown.get("Environment", {}).get("Variables", {})
            assert (
                Kept(
                    kept.edition,
                    int(variables["NUMBER"]) if variables else None,
                    shown["Description"],
                    shown["Timeout"],
                    found.get("Tags", {}),
                    kept.versions,
                    kept.alias,
                )
                == kept
            )
            found = self.ask("list_versions_by_function", FunctionName=name)["Versions"]
            assert [item["Version"] for item in found] == ["$LATEST"] + [
                str(at + 1) for at in range(len(kept.versions))
            ]
            for item, (_, number, description, timeout) in zip(
                found[1:], kept.versions, strict=True
            ):
                variables = item.get("Environment", {}).get("Variables", {})
                assert variables.get("NUMBER") == (None if number is None else str(number))
                assert (item["Description"], item["Timeout"]) == (description, timeout)
            alias = self.ask("get_alias", FunctionName=name, Name="live")
            assert (alias["FunctionVersion"] if kept.alias else alias) == (
                str(kept.alias) if kept.alias else "ResourceNotFoundException"
            )


def test_what_was_acknowledged_is_there(tmp_path: Path) -> None:
    class Here(Writes):
        place = tmp_path

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=int(ASKED or 3),
            stateful_step_count=30,
            derandomize=ASKED is None,
            database=None,
            deadline=None,
            # An engine for each attempt at a shorter sequence would take minutes.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
