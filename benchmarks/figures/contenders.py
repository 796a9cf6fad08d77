"""Contenders that more than one figure invites."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness import Contender, Probe
from benchmarks.measures import Role
from benchmarks.remote import Remote

MakeProbe = Callable[[Remote], Probe]

SAMOVAR = "Samovar"


def samovar(
    probe: MakeProbe, name: str = SAMOVAR, role: Role = Role.SAMOVAR, **options: Any
) -> Contender:
    """Options: see `benchmarks.engine_subject.EngineSubject`."""
    return Contender(name, role, "benchmarks.engine_subject:EngineSubject", probe, options)


def floor(name: str, subject: str, probe: MakeProbe, **options: Any) -> Contender:
    return _other(name, Role.FLOOR, f"benchmarks.floors.{subject}", probe, options)


def peer(name: str, subject: str, probe: MakeProbe, **options: Any) -> Contender:
    return _other(name, Role.PEER, f"benchmarks.peers.{subject}", probe, options)


def _other(
    name: str, role: Role, subject: str, probe: MakeProbe, options: Mapping[str, Any]
) -> Contender:
    return Contender(name, role, subject, probe, options)
