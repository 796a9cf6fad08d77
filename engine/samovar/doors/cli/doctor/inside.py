"""What a trial found, as facts: interpreters, walls, and what a function sees from within them."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from samovar.context.limiter import WALLS
from samovar.context.offline import WALL as _NETWORK
from samovar.context.verdict import OUT_OF_MEMORY
from samovar.doors.cli.doctor.facts import Fact, Verdict
from samovar.doors.cli.doctor.trial import TOO_MUCH, Start, Trial
from samovar.doors.cli.report import Report
from samovar.doors.cli.screen import size_text
from samovar.settings import Isolation, Network, Settings

# Ten times what it takes on an ordinary machine: below that it is the machine, above it something.
SLOW_START = 0.1  # seconds
SLOW_BOTO3 = 1.0
_TMP_SIZE = 512 * 1024 * 1024  # AWS's default, which the probe function has
_OPEN_FILES = 1024  # AWS's
_DEVICES = {
    *("fd", "full", "null", "random", "stderr", "stdin", "stdout", "urandom", "zero"),
}

_DELEGATE = (
    "run as root, or have control groups delegated (systemd: Delegate=yes; containers: a writable "
    "/sys/fs/cgroup)"
)
_TEMPLATES = "templates"  # the one wall that no function needs
_CALLS = "system call filter"
_PROCESSES = "process limit"  # root has none that another user's engine in a namespace could have
# Refused one by one: that they are missing excuses nothing that was seen but the namespace.
_OWN_UID = "uid of its own"  # of an engine that is root in name
_APART = {
    "ipc namespace": "ipc",
    "host name": "uts",
    _PROCESSES: "",
    _OWN_UID: "",
    "session keyring": "",
    **dict.fromkeys(WALLS.values(), ""),
    _CALLS: "",
    _TEMPLATES: "",
    _NETWORK: "",
}


def interpreters(trial: Trial) -> list[Fact]:
    """Each interpreter that is served, with the time of a cold start."""
    facts = []
    for item in trial.report.interpreters:
        found = f"{item.version} at {item.executable}"
        facts.append(_start(item.runtime, found, trial.starts.get(item.runtime), SLOW_START))
    for runtime, start in trial.boto3.items():
        facts.append(_start(f"{runtime} with boto3", "preloaded", start, SLOW_BOTO3))
    if facts:
        return facts
    advice = "install one, or name it: --interpreters python3.12=/path/to/python3.12"
    return [Fact("interpreters", "none found", Verdict.MISSING, advice)]


def _start(subject: str, found: str, start: Start | None, slow: float) -> Fact:
    if start is None:
        return Fact(subject, found)
    if start.problem:
        return Fact(
            subject,
            f"{found}: {start.problem[:300]}",
            Verdict.MISSING,
            "no function of that kind can run; name another interpreter with --interpreters",
        )
    finding = f"{found}; a cold start takes {start.seconds * 1000:.1f} ms"
    if start.seconds <= slow:
        return Fact(subject, finding)
    return Fact(subject, finding, Verdict.WARNING, "is the machine busy, or its disk slow?")


def walls(report: Report, settings: Settings) -> list[Fact]:
    """Each wall, held or refused."""
    facts = [Fact(f"wall: {wall}", "holds") for wall in report.walls_held]
    if settings.isolation is Isolation.NONE:
        # Left out by will: nothing to repair.
        missing, advice = Verdict.WARNING, "isolation is set to none"
    else:
        missing = Verdict.MISSING
        advice = "start as root, or where unprivileged user namespaces are allowed"
    for wall, why in report.walls_missing.items():
        if wall == _TEMPLATES:  # all functions run as they should; some could start sooner
            start = "SnapStart's versions start on demand; user namespaces may be switched off"
            facts.append(Fact(f"wall: {wall}", why, Verdict.WARNING, start))
        elif wall == _NETWORK:
            facts.append(_network(why, settings))
        elif wall == _OWN_UID and settings.isolation not in (Isolation.STRICT, Isolation.NONE):
            mapped = "name others with --worker-uids, or start as a user that is not root"
            facts.append(Fact(f"wall: {wall}", why, Verdict.WARNING, mapped))
        elif wall in WALLS.values() and settings.isolation is not Isolation.STRICT:
            facts.append(Fact(f"wall: {wall}", why, Verdict.WARNING, _DELEGATE))
        elif wall == _PROCESSES and settings.isolation is not Isolation.STRICT:
            share = (
                "a function that forks without end takes the room of others: trust it, or watch it"
            )
            facts.append(Fact(f"wall: {wall}", why, Verdict.WARNING, share))
        else:
            facts.append(Fact(f"wall: {wall}", why, missing, advice))
    return facts


def _network(why: str, settings: Settings) -> Fact:
    """Where functions can't be kept from the host's network."""
    subject = f"wall: {_NETWORK}"
    if settings.network is Network.HOST and not settings.offline_functions:
        advice = "--network none and --offline-functions would have functions refused here"
        return Fact(subject, why, Verdict.WARNING, advice)
    whose = ", ".join(settings.offline_functions)
    whom = "all functions" if settings.network is Network.NONE else whose
    advice = f"start as root, or where namespaces are allowed; here are refused: {whom}"
    return Fact(subject, why, Verdict.MISSING, advice)


def seen(trial: Trial, settings: Settings) -> list[Fact]:
    """What the function found around itself. A wall that the engine says holds and that did not
    hold when it was leant on is missing; where walls were refused, they said so themselves."""
    if not trial.seen:
        return []
    refused = bool(trial.report.walls_missing.keys() - _APART.keys())
    refused = refused or settings.isolation is Isolation.NONE
    bad = Verdict.WARNING if refused else Verdict.MISSING
    advice = "see the walls above" if refused else "this is a bug of Samovar's: please report it"

    def fact(subject: str, finding: str, holds: bool) -> Fact:
        return Fact(subject, finding) if holds else Fact(subject, finding, bad, advice)

    found = trial.seen
    return [
        fact("user", f"uid {found['uid']}", found["uid"] != 0 and found["euid"] != 0),
        fact("rights", *_rights(found)),
        fact("its /tmp", *_tmp(found)),
        fact("code", *_read_only(found["task_refused"])),
        fact("system files", *_read_only(found["root_refused"])),
        fact("devices", *_devices(found["devices"])),
        fact("processes seen", str(found["processes"]), found["processes"] <= 2),
        fact("namespaces", *_namespaces(found, trial.report.walls_missing)),
        fact("without a network", *_offline(trial)),
        fact("system calls", *_calls(found, trial.report.walls_missing)),
        _frozen(trial.frozen),
        fact("open files", f"{found['open_files']}", found["open_files"] == _OPEN_FILES),
        *([fact(f"{TOO_MUCH} MB of 128", *_ended(trial.memory))] if trial.memory else []),
        Fact("200 kB of payload", "there and back through shared memory")
        if not trial.payload
        else Fact("200 kB of payload", trial.payload, Verdict.MISSING, "is /dev/shm limited?"),
    ]


def _ended(memory: str) -> tuple[str, bool]:
    return f"a function that takes them comes to {memory}", memory == OUT_OF_MEMORY


def _frozen(trouble: str | None) -> Fact:
    subject = "between invocations"
    if trouble is None:
        finding, advice = "runs on", "freeze is off: on AWS it would stand still"
        return Fact(subject, finding, Verdict.WARNING, advice)
    if not trouble:
        return Fact(subject, "stands still, threads and children too")
    advice = "what functions leave running takes processors from others; the log says why"
    return Fact(subject, trouble, Verdict.WARNING, advice)


def _rights(found: Mapping[str, Any]) -> tuple[str, bool]:
    none = not int(found["capabilities"] or "0", 16) | int(found["bounding"] or "0", 16)
    bound = found["no_new_privs"] == "1"
    finding = (
        "no capabilities"
        if none
        else f"capabilities {found['capabilities']} within {found['bounding']}"
    )
    return f"{finding}, {'no' if bound else 'may get'} new ones by exec", none and bound


def _tmp(found: Mapping[str, Any]) -> tuple[str, bool]:
    if found["tmp_refused"]:
        return f"can't be written to ({found['tmp_refused']})", False
    if found["tmp_files"]:
        return "has others' files in it", False
    return f"empty, holds {size_text(found['tmp_size'])}", found["tmp_size"] == _TMP_SIZE


def _read_only(refused: str) -> tuple[str, bool]:
    return (f"read-only ({refused})", True) if refused else ("can be written to", False)


def _devices(names: Sequence[str]) -> tuple[str, bool]:
    more = [name for name in names if name not in _DEVICES]
    return (f"{len(more)} more than AWS's, {more[0]}", False) if more else (", ".join(names), True)


def _calls(found: Mapping[str, Any], missing: Mapping[str, str]) -> tuple[str, bool]:
    filtered = found["seccomp"] == "2"
    finding = "those that no function needs are refused" if filtered else "all are allowed"
    return finding, filtered or _CALLS in missing


def _offline(trial: Trial) -> tuple[str, bool]:
    if trial.offline is None:
        refused = _NETWORK in trial.report.walls_missing
        return "refused, as the wall is missing" if refused else "it did not run", refused
    seen = ", ".join(trial.offline)
    return f"interfaces seen: {seen}", trial.offline == ["lo"]


def _namespaces(found: Mapping[str, Any], missing: Mapping[str, str]) -> tuple[str, bool]:
    theirs = dict(found["namespaces"])
    for wall in missing:
        theirs.pop(_APART.get(wall, ""), None)
    ours = {kind: str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in theirs}
    shared = [kind for kind, name in theirs.items() if ours[kind] == name]
    if shared:
        return f"shares {' and '.join(shared)} with the engine (pid {os.getpid()})", False
    return "of its own", True
