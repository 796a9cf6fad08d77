"""Published versions: what $LATEST was at one moment, kept as it was then.

A version has its function's code and configuration of the moment of its publication, a number that
no other version of the function is ever given, and a generation of its own. It is written Pending,
in one durable write with the number that $LATEST remembers, and turns Active by itself.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from samovar.clock import Clock
from samovar.errors import AWS, ClientError
from samovar.model.function import LATEST, CodePackage, FunctionVersion
from samovar.registry import rules, transitions
from samovar.registry.index import Entry, FunctionPage, Index, sort_key
from samovar.registry.kept_packages import KeptPackages
from samovar.registry.pages import page
from samovar.registry.records import VERSION, to_stored
from samovar.registry.settling import Settling
from samovar.registry.sources import Directory, Receiver
from samovar.registry.telling import Listeners
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer
from samovar.stores.protocols import Put, Remove

# How often a live directory may change while its copy is being packed.
_ATTEMPTS = 5


class Planned(NamedTuple):
    """`latest` with the number remembered, and the version; `is_new` is false for one that is there
    already, as nothing has changed since."""

    latest: FunctionVersion
    version: FunctionVersion
    is_new: bool


class Publishing:
    """Publishes, lists and deletes versions.

    All methods raise ClientError for what the caller did wrong and EngineError if the disk fails;
    a call that raised has changed nothing.
    """

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        index: Index,
        underway: UnderWay,
        writer: Writer,
        receiver: Receiver,
        packages: KeptPackages,
        settling: Settling,
        clock: Clock,
        listeners: Listeners,
    ) -> None:
        self._index = index
        self._underway = underway
        self._writer = writer
        self._receiver = receiver
        self._packages = packages
        self._settling = settling
        self._clock = clock
        self._listeners = listeners

    # For the API.

    async def publish(
        self,
        name: str,
        *,
        code_sha256: str | None = None,
        description: str | None = None,
        revision_id: str | None = None,
    ) -> FunctionVersion:
        """Publish $LATEST as it is now, returned Pending; or return the last version if nothing has
        changed since.

        `code_sha256` (in base64) and `revision_id` are what the caller takes $LATEST to have: the
        first is refused with 400 if it has another one, the second with 412. `description` is the
        version's own, in the place of that of $LATEST.
        """
        if description is not None:
            rules.check_description(description)

        def demand(latest: FunctionVersion) -> None:
            transitions.demand_settled(latest)
            transitions.demand_revision(latest, revision_id)
            _demand_code(latest, code_sha256)

        return await self._underway.carry_out(
            self._publish(self._index.entry(name), description, demand)
        )

    async def _publish(
        self, entry: Entry, description: str | None, demand: Callable[[FunctionVersion], None]
    ) -> FunctionVersion:
        for _ in range(_ATTEMPTS):
            shown = entry.shown
            demand(shown)
            async with self.frozen(shown.code, shown) as code, self._underway.holding(entry):
                demand(entry.shown)
                # A file may have been saved since, or new code deployed.
                if entry.shown.generation == shown.generation:
                    return await self._write(entry, code, description)
        raise transitions.being_updated(entry.shown.arn)

    async def _write(
        self, entry: Entry, code: CodePackage, description: str | None
    ) -> FunctionVersion:
        shown = entry.shown
        latest, version, is_new = self.plan(shown, entry, code, description)
        if not is_new:
            return version
        self._packages.demand_room(code.size)
        latest = transitions.revised(latest)
        node = self._writer.node
        await self._writer.write(
            latest.arn,
            Put(to_stored(latest, node), shown.revision_id),
            Put(to_stored(version, node), None),
        )
        if entry.serving is shown:
            entry.serving = latest
        entry.show(latest)
        entry.keep(version)
        self._settling.start_published(entry, version.version)
        return version

    def list(
        self, name: str, marker: str | None = None, max_items: int | None = None
    ) -> FunctionPage:
        """A page of a function's versions, $LATEST first, then by number: at most 50, at most
        `max_items`."""
        entry = self._index.entry(name)
        versions = {sort_key(version.version): version for version in entry.all_versions()}
        found = page(list(versions), marker, max_items, "ListVersionsByFunction")
        return FunctionPage(tuple(versions[key] for key in found.names), found.next_marker)

    async def delete(self, name: str, qualifier: str) -> None:
        """Delete a version and the policy and the like that it has; an unknown number is no error
        (unconfirmed)."""
        await self._underway.carry_out(self._delete(self._index.entry(name), qualifier))

    async def _delete(self, entry: Entry, qualifier: str) -> None:
        if qualifier == LATEST:
            raise ClientError(
                AWS.INVALID_PARAMETER,
                "$LATEST version cannot be deleted without deleting the function.",
            )
        if not qualifier.isdecimal():
            raise ClientError(
                AWS.INVALID_PARAMETER, "Deletion of aliases is not currently supported."
            )
        async with self._underway.holding(entry):
            version = entry.versions.get(qualifier)
            if version is None:
                return
            users = sorted(
                alias.name for alias in entry.aliases.values() if qualifier in alias.versions
            )
            if users:
                raise ClientError(
                    AWS.RESOURCE_CONFLICT,
                    "Unable to delete version because the following aliases reference it: "
                    f"[{', '.join(users)}]",
                )
            arn = version.qualified_arn
            await self._writer.write(
                arn, Remove(VERSION, arn, version.revision_id), *entry.removals(arn)
            )
            entry.drop(version)
            self._listeners.version_deleted(version)
        await self._packages.let_go()

    # For the changes that publish, too.

    @asynccontextmanager
    async def frozen(
        self, code: CodePackage, function: FunctionVersion | None = None
    ) -> AsyncIterator[CodePackage]:
        """`code` as a version keeps it, which is not collected meanwhile: for a live directory, a
        package of the files that run now. `function` is the one that runs them already."""
        if not code.directory:
            yield code
            return
        async with self._packages.arrival():
            async with self._packages.held(code, function) as tree:
                received = await self._receiver.receive(Directory(tree))
            yield received.code

    def plan(
        self,
        latest: FunctionVersion,
        entry: Entry | None,
        code: CodePackage,
        description: str | None = None,
    ) -> Planned:
        """The version that the publication of `latest` with `code` gives; nothing is changed."""
        last = latest.last_number
        if entry is not None:
            # A Samovar that knew no versions may have changed $LATEST since, and forgotten it.
            last = max(last, *map(int, entry.versions), 0)
            present = entry.versions.get(str(last))
            if present and transitions.is_unchanged(latest, present, code, description):
                return Planned(latest, present, False)
        number = last + 1
        version = transitions.published(
            latest,
            number,
            code,
            description,
            generation=self._index.next_generation(),
            now=self._clock.wall(),
        )
        return Planned(transitions.numbered(latest, number), version, True)


def _demand_code(latest: FunctionVersion, given: str | None) -> None:
    present = base64.b64encode(bytes.fromhex(latest.code.sha256)).decode()
    if given is not None and given != present:
        raise ClientError(
            AWS.INVALID_PARAMETER,
            f"CodeSHA256 ({given}) is different from current CodeSHA256 in $LATEST ({present}). "
            "Please try again with the CodeSHA256 in $LATEST.",
        )
