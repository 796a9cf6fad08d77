"""Kills engines in the middle of changes: `<data dir> <seed> <rounds>`; the last line is a summary.

Each round forks an engine on the same directory. It first holds what it finds against what the
earlier ones had answered, then creates, updates and deletes functions, and publishes and deletes
versions of a layer, until it is killed.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import sys
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path

from tests.process.house import eventually, package, result

from samovar.engine import Engine
from samovar.errors import AWS, ClientError
from samovar.model.function import LATEST, Configuration, State, UpdateStatus
from samovar.model.policy import Statement
from samovar.model.runtime_version import runtime_version_arn
from samovar.registry import kept_packages
from samovar.registry.code_signing_configs import CodeSigningConfig
from samovar.registry.functions import ConfigurationChanges, NewFunction, ZipBytes
from samovar.registry.layers import Compatible
from samovar.registry.recursion import RecursiveLoop
from samovar.registry.runtime_management import RuntimeManagement, UpdateRuntimeOn
from samovar.registry.runtimes import Runtimes
from samovar.settings import Isolation, Settings

ROLE = "arn:aws:iam::000000000000:role/r"
PROFILE = "arn:aws:signer:us-east-1:000000000000:/signing-profiles/mine/abcdef0123"
LAYER = "l"
LOOPS = [RecursiveLoop.TERMINATE, RecursiveLoop.ALLOW]
UPDATES = list(UpdateRuntimeOn)
PUBLISHING = ("publish", "publish code", "alias")
WAYS = (
    *("code", "configuration", "permission", "delete"),
    *("signing", "recursion", "management"),
    *PUBLISHING,
)
NAMES = ("a", "b", "c")  # each has a task of its own that changes it
LONGEST = 0.06  # seconds that an engine gets for its changes: some ten of them
SOURCE = """
import os
def handler(event, context):
    return [{code}, int(os.environ["EDITION"])]
"""


@dataclass(frozen=True)
class Kept:
    """What a function was last made to be: numbers in its code, environment and tags, in the last
    statement of its policy and in its code signing config (0 without one); 0 or 1 for what becomes
    of loops; 0, 1 or 2 for who chooses its runtime's version; the number of the last version, the
    code in it, and the code that the alias stands for (0 without one)."""

    code: int
    environment: int
    tags: int
    permission: int = 0
    signing: int = 0
    recursion: int = 0
    management: int = 0
    version: int = 0
    published: int = 0
    alias: int = 0


@dataclass
class Model:
    """What may be found under each name: one thing, or two when a change was cut short."""

    possible: dict[str, set[Kept | None]] = field(
        default_factory=lambda: {name: {None} for name in NAMES}
    )
    layers: dict[int, bool] = field(default_factory=dict)  # versions; true if one must be there
    last: int = 0  # the highest number that a layer's version has been seen with
    edition: int = 0
    answered: int = 0
    cut: int = 0

    def take_in(self, journal: bytes) -> None:
        """`journal`: lines of a name and what it is to be, first as asked, then as answered."""
        asked: dict[str, Kept | None] = {}
        for line in journal.decode().splitlines():
            word, name, numbers = line.split(" ", 2)
            if name == LAYER:
                self.take_in_layer(word, int(numbers))
                continue
            wanted = Kept(*json.loads(numbers)) if numbers != "null" else None
            self.edition = max(self.edition, *(json.loads(numbers) or [0]))
            if word == "asked":
                asked[name] = wanted
            elif word == "answered":
                self.possible[name] = {asked.pop(name)}
                self.answered += 1
            else:
                self.possible[name] = {wanted}
        for name, wanted in asked.items():
            self.possible[name].add(wanted)
            self.cut += 1

    def take_in_layer(self, word: str, number: int) -> None:
        self.answered += word in ("published", "deleted")
        if word in ("deleted", "gone"):
            del self.layers[number]
        else:
            self.layers[number] = word != "deleting"
        self.last = max(self.last, number)


def note(journal: int, word: str, name: str, kept: Kept | None) -> None:
    numbers = list(astuple(kept)) if kept is not None else None
    os.write(journal, f"{word} {name} {json.dumps(numbers)}\n".encode())


async def found(engine: Engine, name: str) -> Kept | None:
    """What is there: invoked, not only looked at."""
    try:
        function = engine.registry.get(name)
    except ClientError as error:
        assert error.error is AWS.RESOURCE_NOT_FOUND
        return None
    assert function.state is State.ACTIVE, function
    assert function.update_status is not UpdateStatus.IN_PROGRESS, function
    code, environment = await result(engine, name=name)
    last = (await engine.list_versions(name))[-1].version
    version = 0 if last == LATEST else int(last)
    published = await of_qualifier(engine, name, last) if version else 0
    alias = await of_qualifier(engine, name, "live") if has_alias(engine, name) else 0
    registry = engine.registry
    config = registry.code_signing.of_function(name)
    return Kept(
        code,
        environment,
        int(registry.tags_of(name)["made"]),
        permission(engine, name),
        int(registry.code_signing.get(config).description or 0) if config else 0,
        LOOPS.index(registry.recursion.get(name)),
        UPDATES.index(registry.runtime_management.get(name, None).update_on),
        version,
        published,
        alias,
    )


def has_alias(engine: Engine, name: str) -> bool:
    return bool(engine.registry.aliases.list(name).aliases)


async def of_qualifier(engine: Engine, name: str, qualifier: str) -> int:
    """The number in the code that is run there."""
    version = await engine.registry.wait_settled(name, qualifier)
    assert version.state is State.ACTIVE, version
    outcome = await engine.invoke(name, qualifier=qualifier)
    assert outcome.function_error is None, outcome.payload
    assert outcome.executed_version == version.version
    code: int = json.loads(outcome.payload)[0]
    return code


def permission(engine: Engine, name: str) -> int:
    try:
        policy, revision = engine.registry.permissions.policy(name, None)
    except ClientError as error:
        assert error.error is AWS.RESOURCE_NOT_FOUND
        return 0
    assert revision == engine.registry.get(name).revision_id
    return int(policy.statements[-1].sid)


async def check(engine: Engine, data_dir: Path, model: Model, journal: int) -> None:
    for name, possible in model.possible.items():
        kept = await found(engine, name)
        assert kept in possible, f"{name} is {kept}, and should be one of {possible}"
        note(journal, "found", name, kept)
    layers = check_layers(engine, model, journal)
    page = engine.registry.list(all_versions=True)
    assert page.next_marker is None
    wanted = {item.code.sha256 for item in page.functions} | layers
    code = data_dir / "code"
    assert {path.stem for path in (code / "zip").iterdir()} == wanted
    assert {path.name for path in (code / "tree").iterdir()} == wanted
    await eventually(lambda: not list((code / "tmp").iterdir()), "what was half there is gone")


def check_layers(engine: Engine, model: Model, journal: int) -> set[str]:
    """The packages of the layer's versions that are there."""
    found = {
        version.version: version.code.sha256
        for version in engine.registry.layers.versions(LAYER, Compatible()).versions
    }
    missing = {number for number, certain in model.layers.items() if certain} - set(found)
    assert not missing, f"versions {missing} of the layer are lost"
    news = set(found) - set(model.layers)
    assert news <= {model.last + 1}, f"versions {news} of the layer were not asked for"
    for number in set(model.layers) - set(found):
        os.write(journal, f"gone {LAYER} {number}\n".encode())
    for number in found:
        os.write(journal, f"found {LAYER} {number}\n".encode())
    return set(found.values())


async def change_layer(engine: Engine, model: Model, journal: int) -> None:
    last = model.last
    while True:
        content = package({"python/m.py": f"X = {last}\n"})
        number = (await engine.publish_layer(LAYER, content=content)).version
        os.write(journal, f"published {LAYER} {number}\n".encode())
        assert last < number <= last + 2, f"{number} after {last}"  # one may have been cut short
        last = number
        if random.random() < 0.7:
            os.write(journal, f"deleting {LAYER} {number}\n".encode())
            await engine.registry.layers.delete(LAYER, number)
            os.write(journal, f"deleted {LAYER} {number}\n".encode())


async def sign(engine: Engine, name: str, number: int) -> None:
    """Give the function a config of its own, and delete the one that it had."""
    signing = engine.registry.code_signing
    before = signing.of_function(name)
    config = await signing.create(CodeSigningConfig("", (PROFILE,), description=str(number)))
    await signing.put(name, config.arn)
    if before is not None:
        await signing.delete(before)


async def prune(engine: Engine, name: str) -> None:
    """Delete the versions but for the last one, and that of the alias."""
    aliases = engine.registry.aliases.list(name).aliases
    used = {alias.function_version for alias in aliases} | {LATEST}
    for version in (await engine.list_versions(name))[:-1]:
        if version.version not in used:
            await engine.delete_version(name, version.version)


async def manage(engine: Engine, name: str, update_on: UpdateRuntimeOn) -> None:
    version = None
    if update_on is UpdateRuntimeOn.MANUAL:
        interpreter = engine.registry.runtimes.served[0]
        version = runtime_version_arn(
            engine.settings.region, interpreter.runtime, interpreter.version
        )
    wanted = RuntimeManagement(update_on, version)
    await engine.registry.runtime_management.put(name, None, wanted)


async def change_versions(
    engine: Engine, name: str, what: str, *, kept: Kept, number: int, journal: int
) -> Kept:
    """Publish the function as it is, or with new code, or have the alias stand for its last
    version, if there is one."""
    zipped = ZipBytes(package({"app.py": SOURCE.format(code=number)}))
    if what == "publish":
        kept = replace(kept, version=kept.version + 1, published=kept.code)
        note(journal, "asked", name, kept)
        # Another description: it is always a new one.
        made = await engine.registry.versions.publish(name, description=str(number))
        assert made.version == str(kept.version)
        await prune(engine, name)
    elif what == "publish code":
        kept = replace(kept, code=number, version=kept.version + 1, published=number)
        note(journal, "asked", name, kept)
        made = await engine.registry.update_code(name, zipped, publish=True)
        assert made.version == str(kept.version)
    else:
        kept = replace(kept, alias=kept.published)
        note(journal, "asked", name, kept)
        if not kept.version:
            pass
        elif has_alias(engine, name):
            await engine.update_alias(name, "live", version=str(kept.version))
        else:
            await engine.create_alias(name, "live", str(kept.version))
    return kept


async def change(engine: Engine, name: str, model: Model, runtime: str, journal: int) -> None:
    kept = await found(engine, name)
    numbers = iter(range(model.edition + 1 + NAMES.index(name), 1 << 40, len(NAMES)))
    while True:
        number = next(numbers)
        if kept is None:
            kept = Kept(number, number, number)
            note(journal, "asked", name, kept)
            configuration = Configuration(
                handler="app.handler",
                runtime=runtime,
                role=ROLE,
                environment={"EDITION": str(number)},
            )
            zipped = ZipBytes(package({"app.py": SOURCE.format(code=number)}))
            tags = {"made": str(number)}
            await engine.registry.create(NewFunction(name, configuration, zipped, tags))
        elif (what := random.choice(WAYS)) == "code":
            kept = replace(kept, code=number)
            note(journal, "asked", name, kept)
            zipped = ZipBytes(package({"app.py": SOURCE.format(code=number)}))
            await engine.registry.update_code(name, zipped)
        elif what == "configuration":
            kept = replace(kept, environment=number)
            note(journal, "asked", name, kept)
            changes = ConfigurationChanges(environment={"EDITION": str(number)})
            await engine.registry.update_configuration(name, changes)
        elif what in PUBLISHING:
            kept = await change_versions(
                engine, name, what, kept=kept, number=number, journal=journal
            )
        elif what == "permission":
            kept = replace(kept, permission=number)
            note(journal, "asked", name, kept)
            arn = engine.registry.get(name).arn
            statement = Statement(str(number), "*", "lambda:InvokeFunction", arn, {})
            await engine.registry.permissions.add(name, None, statement)
        elif what == "signing":
            kept = replace(kept, signing=number)
            note(journal, "asked", name, kept)
            await sign(engine, name, number)
        elif what == "recursion":
            kept = replace(kept, recursion=1 - kept.recursion)
            note(journal, "asked", name, kept)
            await engine.registry.recursion.put(name, LOOPS[kept.recursion])
        elif what == "management":
            kept = replace(kept, management=number % 3)
            note(journal, "asked", name, kept)
            await manage(engine, name, UPDATES[kept.management])
        else:
            kept = None
            note(journal, "asked", name, kept)
            await engine.registry.delete(name)
        note(journal, "answered", name, kept)
        if kept is not None:
            await engine.registry.wait_settled(name)


# So that engines are killed while they collect, too.
kept_packages.COLLECT_AFTER = 0.005


async def live(data_dir: Path, model: Model, runtimes: Runtimes, journal: int) -> None:
    settings = Settings(data_dir=data_dir, isolation=Isolation.NONE, spares=0)
    runtime = runtimes.served[0].runtime
    async with Engine(settings, runtimes=runtimes) as engine:
        await check(engine, data_dir, model, journal)
        os.write(journal, b"\n")
        # As many at once in every round: the disk has only so many changes a second in it.
        names = NAMES[:-1] if random.random() < 0.5 else NAMES
        layer = [change_layer(engine, model, journal)] if names is not NAMES else []
        await asyncio.gather(
            *layer, *(change(engine, name, model, runtime, journal) for name in names)
        )


def one_round(data_dir: Path, model: Model, runtimes: Runtimes, seed: int) -> None:
    """Fork an engine, wait until it has checked what is there, and kill it some time later."""
    random.seed(seed)
    delay = random.uniform(0, LONGEST)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            asyncio.run(live(data_dir, model, runtimes, writing))
        except BaseException:
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    os.close(writing)
    with open(reading, "rb") as pipe:
        journal = b""
        while (line := pipe.readline()) not in (b"\n", b""):  # nothing more: it has failed
            journal += line
        select.select([], [], [], delay)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        assert os.WIFSIGNALED(status), f"the engine of seed {seed} failed; see above"
        journal += pipe.read()
    model.take_in(journal)


def main(data_dir: str, seed: str, rounds: str) -> None:
    print(f"seed {seed}", flush=True)
    place = Path(data_dir)
    runtimes = asyncio.run(Runtimes.discover(Settings(data_dir=place)))
    model = Model()
    for number in range(int(rounds)):
        one_round(place, model, runtimes, int(seed) + number)
    print(json.dumps({"answered": model.answered, "cut": model.cut}))


main(*sys.argv[1:])
