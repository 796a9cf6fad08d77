"""Facts about the host that decide how many contexts it carries, and what to do about them."""

from __future__ import annotations

import http.client
import json
import os
import resource
import shutil
import socket
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from samovar.context.host_memory import HostMemory, own_group
from samovar.doors.cli.doctor.facts import Fact, Verdict, existing_part, number
from samovar.settings import Settings

# Six descriptors per context stay open in the engine: three pipes, its pidfd, its shared memory,
# and one that the kernel tells of its memory; and some for files and connections.
FDS_PER_CONTEXT = 6
FDS_BESIDE = 1024
# PSS of an idle context of a bare function, with its page tables: `idle-memory` of the benchmarks.
BYTES_PER_CONTEXT = 2_300_000
FREE_DISK_WANTED = 1_000_000_000
_PATIENCE = 2  # seconds for whatever listens on the port to answer


def data_directory(directory: Path) -> Fact:
    """Whether the directory can be used, tried by writing there (or beside where it will be)."""
    existing = existing_part(directory)
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Fact(
            "data directory",
            f"{directory}: {existing} can't be written to",
            Verdict.MISSING,
            "name another one with --data-dir or SAMOVAR_DATA_DIR",
        )
    free = shutil.disk_usage(existing).free
    finding = f"{directory}, {free / 1e9:.1f} GB free"
    if free < FREE_DISK_WANTED:
        return Fact(
            "data directory", finding, Verdict.WARNING, "make room: packages are kept there"
        )
    return Fact("data directory", finding)


def descriptors(contexts: int) -> Fact:
    """The hard limit counts: an engine raises its own soft limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return Fact("open files", "unlimited")
    wanted = contexts * FDS_PER_CONTEXT + FDS_BESIDE
    if hard >= wanted:
        return Fact("open files", f"up to {hard}")
    return Fact(
        "open files",
        f"up to {hard}; {contexts} contexts want {wanted}",
        Verdict.WARNING,
        f"raise the hard limit (ulimit -Hn {wanted}, LimitNOFILE=), or lower --max-contexts",
    )


def processes(contexts: int) -> Fact:
    """Root is not bound by this limit, but by the kernel's pid_max."""
    _, hard = resource.getrlimit(resource.RLIMIT_NPROC)
    limits = [number("/proc/sys/kernel/pid_max")]
    if os.geteuid() != 0 and hard != resource.RLIM_INFINITY:
        limits.append(hard)
    most = min((limit for limit in limits if limit), default=None)
    if most is None:
        return Fact("processes", "no limit found")
    if most >= contexts * 2:
        return Fact("processes", f"up to {most}")
    return Fact(
        "processes",
        f"up to {most}; {contexts} contexts want {contexts * 2}",
        Verdict.WARNING,
        "raise the limit (ulimit -u, LimitNPROC=), or lower --max-contexts",
    )


def uids(contexts: int, numbers: range) -> Fact:
    """Each context of root's engine has one, spares and templates too."""
    finding = f"{len(numbers)} for contexts, {numbers[0]}-{numbers[-1]}"
    if len(numbers) >= contexts:
        return Fact("uids", finding)
    return Fact(
        "uids",
        f"{finding}; there may be {contexts} contexts",
        Verdict.WARNING,
        "name more with --worker-uids, or lower --max-contexts",
    )


def memory(contexts: int, reserve: int | None = None) -> Fact:
    """Idle contexts only: what a function itself takes comes on top. `reserve` as in the settings.

    The control groups are this command's own: an engine may be started in others.
    """
    with closing(HostMemory(reserve, group=own_group())) as gauge:
        room, where = gauge.look()
        kept = gauge.reserve
    wanted = contexts * BYTES_PER_CONTEXT
    finding = (
        f"room for {room * (1 << 20) / 1e9:.1f} GB of contexts on {where}, {kept} MB kept free; "
        f"{contexts} idle ones take {wanted / 1e9:.1f} GB"
    )
    if room * (1 << 20) >= wanted:
        return Fact("memory", finding)
    advice = "lower --max-contexts, or free memory: cold starts are refused where there is no room"
    return Fact("memory", finding, Verdict.WARNING, advice)


def pipes() -> Fact:
    """Past this many pages of pipe buffers a user gets pipes of one page."""
    pages = number("/proc/sys/fs/pipe-user-pages-soft")
    if pages is None or os.geteuid() == 0:
        return Fact("pipe buffers", "not limited for this user")
    if pages == 0 or pages >= 16384:
        return Fact("pipe buffers", f"{pages} pages" if pages else "unlimited")
    return Fact(
        "pipe buffers",
        f"{pages} pages",
        Verdict.WARNING,
        "past some hundred contexts payloads get slower: sysctl fs.pipe-user-pages-soft=65536",
    )


def port(host: str, wanted: int) -> Fact:
    """Whether an engine could listen there, tried by listening for a moment."""
    if not wanted:
        return Fact("port", "the system chooses one")
    subject = f"port {wanted}"
    try:
        address = socket.getaddrinfo(host, wanted, type=socket.SOCK_STREAM)[0]
        with socket.socket(address[0], address[1]) as listener:
            # As asyncio does it: a port whose last user has just gone is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address[4])
            listener.listen()
    except OSError as error:
        if _is_samovar(host, wanted):
            return Fact(subject, f"a Samovar listens on {host} already")
        return Fact(
            subject,
            f"{host}: {error.strerror}",
            Verdict.WARNING,
            "choose another one with --port or SAMOVAR_PORT",
        )
    return Fact(subject, f"free on {host}")


def _is_samovar(host: str, wanted: int) -> bool:
    connection = http.client.HTTPConnection(host, wanted, timeout=_PATIENCE)
    try:
        connection.request("GET", "/_samovar/health")
        told = json.loads(connection.getresponse().read())
        return bool(told["status"] == "ok" and "memory_room_mb" in told)
    except (OSError, ValueError, TypeError, KeyError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def clock() -> Fact:
    """Functions and signatures go by it: AWS's clients and services allow for five minutes."""
    now = datetime.now(UTC)
    finding = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    # Samovar's own files can't have been written in the future.
    written = datetime.fromtimestamp(Path(__file__).stat().st_mtime, UTC)
    if now < written:
        return Fact(
            "clock",
            f"{finding}, and Samovar was installed at {written:%Y-%m-%d %H:%M}",
            Verdict.WARNING,
            "set it: AWS's services refuse signatures that are more than 5 minutes off",
        )
    return Fact("clock", finding)


def look(settings: Settings) -> list[Fact]:
    """All facts, in the order in which they are shown."""
    contexts = settings.max_contexts
    return [
        data_directory(settings.data_dir),
        descriptors(contexts),
        processes(contexts),
        *([uids(contexts, settings.uids)] if os.geteuid() == 0 else []),
        memory(contexts, settings.memory_reserve),
        pipes(),
        port(settings.host, settings.port),
        clock(),
    ]
