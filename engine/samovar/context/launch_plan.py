"""What a zygote's small root holds, and what it runs: data for the launch, worked out here.

Read-only in there: the host's /usr (and its links /bin, /lib …), the parts of /etc that resolvers,
TLS and the dynamic linker need, the interpreter at /var/lang, AWS's libraries at /var/runtime, and
behind /run/samovar, hidden before a function runs, the worker and the extracted packages.
"""

from __future__ import annotations

import csv
import importlib.metadata
import importlib.util
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from samovar.context.environment import LIBRARY_PATH
from samovar.context.sweep import marker
from samovar.registry.runtimes import Interpreter
from samovar_worker.wire import control

# What AWS's Python runtime has at /var/runtime: boto3 and what it needs, the runtime's simplejson,
# and where functions register SnapStart's hooks.
RUNTIME_DISTRIBUTIONS = (
    "boto3",
    "botocore",
    "jmespath",
    "python-dateutil",
    "s3transfer",
    "simplejson",
    "six",
    "snapshot-restore-py",
    "urllib3",
)
_WORKER_PACKAGES = ("samovar_worker", "msgpack")
_TOP_LEVEL = ("/bin", "/lib", "/lib32", "/lib64", "/libx32", "/sbin", "/usr")
_ETC = (
    *("alternatives", "ca-certificates", "fonts", "gai.conf", "host.conf", "hosts", "ld.so.cache"),
    *("ld.so.conf", "ld.so.conf.d", "localtime", "mime.types", "nsswitch.conf", "os-release"),
    *("pki", "protocols", "resolv.conf", "services", "ssl", "timezone"),
)
_CODE = "/run/samovar/code"
# Not below /opt, over which layers are mounted.
IMPORT_PATHS = "/var/python-path"

PRELOADS = {
    # Modules imported before the fork: of the standard library what the worker itself needs is
    # there anyway; every further megabyte costs each fork 80-95 us (measured).
    "bare": [],
    "boto3": ["boto3", "botocore.session", "botocore.httpsession", "boto3.session"],
}


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of zygote: its interpreter, what it preloads, and directories shared by the host."""

    interpreter: Interpreter
    preload: str
    import_paths: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Premises:
    """Directories of one engine, all below its data directory.

    `code`: extracted packages; `worker`, `runtime`: links to what stage one and unwalled workers
    import; `scratch`: an empty directory on which each zygote mounts its root, in its own
    namespace; `contexts`: a directory per unwalled context.
    """

    code: Path
    worker: Path
    runtime: Path
    scratch: Path
    contexts: Path


def prepare(code: Path, run: Path) -> Premises:
    """Make the directories and links; raises OSError."""
    premises = Premises(code, run / "worker", run / "runtime", run / "root", run / "contexts")
    run.mkdir(mode=0o700, parents=True, exist_ok=True)
    for directory in (premises.worker, premises.runtime, premises.scratch, premises.contexts):
        directory.mkdir(parents=True, exist_ok=True)
    for name in _WORKER_PACKAGES:
        _link(_package_path(name), premises.worker / name)
    for path in runtime_files():
        _link(path, premises.runtime / path.name)
    return premises


@cache  # what is installed does not change under a running engine, and reading it takes 20 ms
def runtime_files() -> tuple[Path, ...]:
    """The packages, modules and metadata of RUNTIME_DISTRIBUTIONS in the engine's environment."""
    found: dict[Path, None] = {}
    for name in RUNTIME_DISTRIBUTIONS:
        distribution = importlib.metadata.distribution(name)
        for top in _top_level(distribution):
            if top not in ("..", "__pycache__"):
                found[Path(str(distribution.locate_file(top)))] = None
    return tuple(path for path in found if path.exists())


def _top_level(distribution: importlib.metadata.Distribution) -> list[str]:
    """The first parts of its files' names. `files` makes an object of each of botocore's 4,000."""
    record = distribution.read_text("RECORD")
    if record is None:
        return [file.parts[0] for file in distribution.files or ()]
    return list(dict.fromkeys(row[0].partition("/")[0] for row in csv.reader(record.splitlines())))


def launch(
    family: Family,
    premises: Premises,
    uids: range | None,
    engine_pid: int,
    isolation: str,
    *,
    offline: bool = False,
) -> control.Launch:
    """The Launch packet of a zygote of `family`. `uids`: whom its contexts become, if anybody;
    `offline`: none of them has a network."""
    interpreter = family.interpreter
    binds = [(path, path) for path in _TOP_LEVEL if _is_directory(path)]
    binds += [(f"/etc/{name}", f"/etc/{name}") for name in _ETC if Path(f"/etc/{name}").exists()]
    binds.append((interpreter.base_prefix, "/var/lang"))
    binds += [(str(path), f"/var/runtime/{path.name}") for path in runtime_files()]
    binds += [
        (str(_package_path(name)), f"/run/samovar/worker/{name}") for name in _WORKER_PACKAGES
    ]
    binds += [(path, f"{IMPORT_PATHS}/{number}") for number, path in enumerate(family.import_paths)]
    binds.append((str(premises.code), _CODE))
    walled = isolation != "none"
    passwd, group = "root:x:0:0:root:/:/bin/sh\n", "root:x:0:\n"
    if uids is None:
        passwd += "sbx_user1051:x:1051:1051::/:/bin/sh\n"
        group += "sbx_user1051:x:1051:\n"
    return control.Launch(
        isolation=isolation,
        executable=interpreter.executable,
        worker_path="/run/samovar/worker" if walled else str(premises.worker),
        binds=[list(pair) for pair in binds],
        links=[
            [str(Path(path).readlink()), path] for path in _TOP_LEVEL if Path(path).is_symlink()
        ],
        files=[["/etc/passwd", passwd], ["/etc/group", group]],
        preload=PRELOADS[family.preload],
        runtime_paths=["/var/runtime" if walled else str(premises.runtime)],
        environment={
            "LD_LIBRARY_PATH": LIBRARY_PATH if walled else "",
            "LANG": "en_US.UTF-8",
            "LC_CTYPE": "C.UTF-8",
            "TZ": ":UTC",
        },
        first_uid=uids[0] if uids else 0,
        last_uid=uids[-1] if uids else 0,
        offline=offline,
        engine_pid=engine_pid,
        scratch=str(premises.scratch),
        marker=marker(premises.scratch.parent),
    )


def task_root(premises: Premises, tree: Path, walled: bool) -> str:
    """The extracted package `tree` as the zygote sees it."""
    return f"{_CODE}/{tree.relative_to(premises.code)}" if walled else str(tree)


def import_paths(family: Family, walled: bool) -> tuple[str, ...]:
    """The family's shared directories as its contexts see them."""
    if not walled:
        return family.import_paths
    return tuple(f"{IMPORT_PATHS}/{number}" for number in range(len(family.import_paths)))


def _is_directory(path: str) -> bool:
    return Path(path).is_dir() and not Path(path).is_symlink()


def _package_path(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise FileNotFoundError(f"the package {name} is not installed beside the engine")
    return Path(next(iter(spec.submodule_search_locations)))


def _link(source: Path, link: Path) -> None:
    if link.is_symlink() and link.readlink() == source:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(source)
