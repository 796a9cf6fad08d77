"""Hot reload as functions see it: what a directory holds becomes their code, or says why not."""

from __future__ import annotations

import logging
from dataclasses import replace

from samovar.clock import Clock
from samovar.errors import ClientError, EngineError
from samovar.model.function import CodePackage, FunctionVersion, UpdateStatus
from samovar.registry import rules, transitions
from samovar.registry.code_signing_configs import CodeSigningConfigs
from samovar.registry.index import Entry, Index
from samovar.registry.live.tree import LiveFault
from samovar.registry.settling import Settling
from samovar.registry.telling import Listeners
from samovar.registry.underway import UnderWay
from samovar.registry.writing import Writer

_log = logging.getLogger(__name__)


class Reloading:
    """Carries out what `HotReload` tells."""

    def __init__(  # noqa: PLR0917 - the parts in the order of the layers
        self,
        index: Index,
        underway: UnderWay,
        writer: Writer,
        signing: CodeSigningConfigs,
        settling: Settling,
        clock: Clock,
        listeners: Listeners,
    ) -> None:
        self._index = index
        self._underway = underway
        self._writer = writer
        self._signing = signing
        self._settling = settling
        self._clock = clock
        self._listeners = listeners

    async def reload(self, found: CodePackage | LiveFault, directory: str) -> None:
        """Have the functions of `directory` run what was found there, or say why they can't.

        Functions that something is under way for are left out: once it is over they are asked for
        again. Raises SamovarError if it could not be written for one of them.
        """
        entries = [entry for entry in self._index if entry.shown.code.directory == directory]
        for entry in entries:
            shown = entry.shown
            if shown.code != found and not isinstance(self._judged(entry, found), LiveFault):
                # Before the lock, as in `Settling`.
                assert isinstance(found, CodePackage)
                await self._settling.make_ready(replace(shown, code=found))
            async with self._underway.lock(shown.name):
                if self._underway.closed:
                    return  # the next start looks again
                present = self._index.find(shown.name) is entry
                if present and entry.shown.code.directory == directory:
                    await self._reload(entry, self._judged(entry, found))

    def demand_stand_in(self, version: FunctionVersion, found: CodePackage) -> None:
        """Raise EngineError if `version` may not run what its directory holds by now.

        Asked where the files that it was deployed with are gone: they ended with an earlier engine.
        """
        entry = self._index.find(version.name)
        if entry is None or entry.shown.code.directory != found.directory:
            return  # it only drains
        judged = self._judged(entry, found)
        if isinstance(judged, LiveFault):
            raise EngineError(
                f"The function runs from {found.directory}, whose files have changed while no "
                f"engine ran, and what is there now can't be taken in: {judged}. Put back what was "
                "there, or deploy other code."
            )

    def _judged(self, entry: Entry, found: CodePackage | LiveFault) -> CodePackage | LiveFault:
        """`found`, or what keeps this function from running it."""
        if isinstance(found, LiveFault) or entry.shown.code == found:
            return found
        config = self._signing.of_function(entry)
        if self._signing.enforces(config):
            return LiveFault(
                f"the function's code signing config {config} says Enforce, and Samovar takes "
                "every package for unsigned"
            )
        try:
            rules.check_unzipped(found.size, entry.shown.configuration.layers)
        except ClientError as error:
            return LiveFault(error.message.removesuffix("."))
        return found

    async def _reload(self, entry: Entry, found: CodePackage | LiveFault) -> None:
        shown = entry.shown
        if not transitions.is_settled(shown):
            return
        failed = shown.update_status is UpdateStatus.FAILED
        if isinstance(found, LiveFault):
            reason = f"{found}; the code that was read before stays in force."
            if not failed or shown.update_reason != reason:
                _log.warning("%s is not reloaded: %s", shown.name, reason)
                await self._writer.replace(entry, transitions.not_reloaded(shown, reason))
            return
        if shown.code == found:
            if failed:
                await self._writer.replace(entry, transitions.settled(shown))
            return
        function = transitions.reloaded(
            shown, found, generation=self._index.next_generation(), now=self._clock.wall()
        )
        await self._writer.replace(entry, function)
        old, entry.serving = entry.serving, function
        _log.info("%s is reloaded from %s", function.name, found.directory)
        self._listeners.function_changed(old, function)
        self._signing.deployed(function.name, self._signing.of_function(entry))
