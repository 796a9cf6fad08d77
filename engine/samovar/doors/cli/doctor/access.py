"""Whose requests an engine with these settings serves."""

from __future__ import annotations

from samovar.doors.cli.doctor.facts import Fact, Verdict
from samovar.doors.http.access_keys import read_access_keys
from samovar.errors import SettingsError
from samovar.settings import Settings


def look(settings: Settings) -> Fact:
    """The access keys, read as `samovar start` would read them."""
    if settings.credentials_file is None:
        if settings.allow_unsigned:
            return Fact("requests", "not authenticated, from anywhere", Verdict.WARNING)
        return Fact("requests", "not authenticated, from this machine only")
    try:
        keys = read_access_keys(settings.credentials_file)
    except SettingsError as error:
        return Fact("requests", str(error), Verdict.MISSING, "samovar start refuses this file")
    named = sum(key.caller is not None for key in keys.values())
    counted = f"{len(keys)}, {named} of them with names" if named else f"{len(keys)}"
    return Fact("requests", f"signed; access keys: {counted}, in {settings.credentials_file}")
