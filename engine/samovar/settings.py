"""Every setting in one table: a field here is a flag, an environment variable and a help text.

`data_dir` → `--data-dir` and `SAMOVAR_DATA_DIR`. The command line, the environment and the
embedded API are all derived from the fields of `Settings`, so they can't disagree.
"""

from __future__ import annotations

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from enum import StrEnum
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from samovar.errors import SettingsError

PREFIX = "SAMOVAR_"

# The services that stand beside the engine, by the names of their boto3 clients.
NEIGHBOURS = (
    "dynamodbstreams",
    "events",
    "kafka",
    "kinesis",
    "lambda",
    "logs",
    "s3",
    "secretsmanager",
    "sns",
    "sqs",
    "sts",
)

# The service model's pattern: a Region of another form could not be written in an ARN.
_REGION = re.compile(r"(eusc-)?[a-z]{2}(-gov|-iso[a-z]?)?-[a-z]+-[0-9]")
# As CreateFunction takes it. With a version or an alias it would leave the others their network.
_FUNCTION = re.compile(r"[a-zA-Z0-9_-]{1,64}")

_MOST_UIDS = 65536  # each has a line in the /etc/passwd of every zygote


class Isolation(StrEnum):
    """How contexts are walled in."""

    AUTO = "auto"  # namespaces where the host allows them, said at start where it does not
    NAMESPACES = "namespaces"  # refuse to start where they are refused
    STRICT = "strict"  # refuse to start where any wall is
    NONE = "none"  # a directory per context, through TMPDIR


class ControlGroups(StrEnum):
    """Which control groups hold contexts to their limits."""

    AUTO = "auto"  # for each limit those that have it, said at start where none has
    V2 = "v2"  # the kernel's version 2 only
    V1 = "v1"
    OFF = "off"  # none: memory is looked at while a function runs, and nothing else is held


class Network(StrEnum):
    """What contexts reach."""

    HOST = "host"  # what the engine's user does
    NONE = "none"  # their own loopback device


def _default_data_dir() -> Path:
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "samovar"


def _setting(help_text: str, default: Any = MISSING, factory: Any = MISSING) -> Any:
    metadata = {"help": help_text}
    if factory is not MISSING:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How an engine runs. Times are seconds, sizes are bytes unless the help says otherwise."""

    host: str = _setting(
        "address to listen on; loopback only, unless requests are signed", "127.0.0.1"
    )
    port: int = _setting("port to listen on; 0 lets the system choose", 4566)
    credentials_file: Path | None = _setting(
        "access keys in the form of ~/.aws/credentials, mode 600: only requests signed with one of "
        "them are served",
        None,
    )
    allow_unsigned: bool = _setting(
        "listen beyond loopback without access keys: whoever reaches the port runs code", False
    )
    data_dir: Path = _setting("where functions, code and state are kept", factory=_default_data_dir)
    aws_endpoint: str = _setting(
        "endpoint of the neighbours (S3, SQS …); given to functions as AWS_ENDPOINT_URL", ""
    )
    endpoints: Mapping[str, str] = _setting(
        "service=url pairs for neighbours that are not at aws_endpoint (sqs, sns, events, s3, sts, "
        "logs, lambda, kinesis, dynamodbstreams, kafka, secretsmanager); only with an sts among "
        "them are execution roles assumed",
        factory=dict,
    )
    region: str = _setting("AWS Region in ARNs and functions' environments", "us-east-1")
    account_id: str = _setting("AWS account in ARNs, 12 digits", "000000000000")
    time_scale: float = _setting("multiplies AWS's retry waits; 1 is AWS's own pace", 1.0)
    idle_timeout: float = _setting("an idle context is stopped after this long", 300.0)
    init_timeout: float = _setting("limit of the init phase before it moves into the invoke", 10.0)
    freeze: bool = _setting(
        "stop what a function leaves running until its next invocation, as AWS does: on or off",
        True,
    )
    freeze_after: float = _setting(
        "any idle context is stopped after this long; one with threads or children at once", 1.0
    )
    isolation: Isolation = _setting(
        "walls around contexts: auto, namespaces (refuse to start without), strict (refuse to "
        "start where any wall is missing) or none",
        Isolation.AUTO,
    )
    cgroups: ControlGroups = _setting(
        "control groups that hold contexts to MemorySize, their share of the CPUs and 1,024 "
        "processes: auto, v2, v1 or off",
        ControlGroups.AUTO,
    )
    cpu_quota: bool = _setting(
        "give a context no more CPU time than MemorySize buys on AWS (1,769 MB: one CPU), even if "
        "nobody else wants it; not during its init: on or off",
        False,
    )
    network: Network = _setting(
        "what functions reach: host (the host's network) or none (a loopback device of each "
        "context's own); where the host can't do without, such functions are refused",
        Network.HOST,
    )
    offline_functions: tuple[str, ...] = _setting(
        "names of functions that have no network although network is host, separated by ,", ()
    )
    spares: int = _setting("contexts forked ahead of need, per interpreter and preload", 2)
    max_contexts: int = _setting("contexts that may exist at once", 1000)
    max_waiting: int = _setting(
        "invocations that may wait when max_contexts are busy; 0 throttles them, as AWS does", 0
    )
    account_concurrency: int = _setting(
        "invocations that may be in flight at once, of all functions (AWS's account limit)", 1000
    )
    unreserved_minimum: int = _setting(
        "of account_concurrency, what no function may reserve; at most a tenth of it, or 10", 100
    )
    scaling_rate: int = _setting(
        "contexts that one function may start on demand in ten seconds, as on AWS; 0: no limit",
        1000,
    )
    request_rate: int = _setting(
        "requests per second that a function may have for each unit of its concurrency, reserved "
        "or the account's, as on AWS; 0: no limit",
        10,
    )
    async_concurrency: int = _setting(
        "asynchronous invocations that may run at once, of all functions", 100
    )
    dead_events_size: int = _setting(
        "bytes of events and deliveries that were given up and are kept, so that `samovar events` "
        "can show them and send them again; the oldest go first",
        256 << 20,
    )
    memory_reserve: int | None = _setting(
        "MB of memory that new contexts leave free; if not set a twentieth of all, within 64 and "
        "1024",
        None,
    )
    worker_uids: str = _setting(
        "uids for contexts, like 200000-265535, when the engine runs as root: each context has one "
        "to itself, and the gid of the same number; nobody else on the host should",
        "51051-59999",
    )
    log_files: bool = _setting(
        "keep functions' logs in data_dir/logs: on or off; `samovar start` has it on", False
    )
    log_size: int = _setting("bytes of log files per function; older ones are deleted", 64 << 20)
    log_size_total: int = _setting("bytes of log files of all functions together", 1 << 30)
    log_delivery: bool = _setting(
        "send functions' logs to CloudWatch Logs at aws_endpoint: on or off", False
    )
    hot_reload_roots: tuple[Path, ...] = _setting(
        "directories within which functions may be deployed by S3Bucket=hot-reload, separated by :",
        (),
    )
    interpreters: Mapping[str, str] = _setting(
        "runtime=path pairs that override what is found, e.g. python3.12=/opt/py/bin/python3",
        factory=dict,
    )

    def __post_init__(self) -> None:
        # Zygotes have another working directory, and so may the engine's program later on. An
        # embedding program may well give text for a path, as it may for the isolation.
        object.__setattr__(self, "data_dir", Path(self.data_dir).expanduser().absolute())
        if isinstance(self.hot_reload_roots, str | Path):
            # Its letters, or its parts, would be taken for directories: «/» among them.
            raise SettingsError(
                f"hot_reload_roots={self.hot_reload_roots!r}: must be a sequence of paths"
            )
        roots = tuple(Path(root).expanduser().absolute() for root in self.hot_reload_roots)
        object.__setattr__(self, "hot_reload_roots", roots)
        if self.credentials_file is not None:
            file = Path(self.credentials_file).expanduser().absolute()
            object.__setattr__(self, "credentials_file", file)
        choices = {"isolation": Isolation, "cgroups": ControlGroups, "network": Network}
        for name, kind in choices.items():
            value = getattr(self, name)
            try:
                object.__setattr__(self, name, kind(value))
            except ValueError as error:
                known = ", ".join(kind)
                raise SettingsError(f"{name}={value!r}: must be one of {known}") from error

        if isinstance(self.offline_functions, str):  # its letters would be taken for names
            raise SettingsError(
                f"offline_functions={self.offline_functions!r}: must be a sequence of names"
            )
        object.__setattr__(self, "offline_functions", tuple(self.offline_functions))
        for name in self.offline_functions:
            if not isinstance(name, str) or _FUNCTION.fullmatch(name) is None:
                raise SettingsError(
                    f"offline_functions: {name!r} is no function's name; names have letters, "
                    "digits, - and _, 64 at most, and neither a qualifier nor an ARN around them"
                )

        def need(ok: bool, name: str, rule: str) -> None:
            if not ok:
                raise SettingsError(f"{name}={getattr(self, name)!r}: {rule}")

        need(0 <= self.port <= 65535, "port", "must be between 0 and 65535")
        need(
            not self.aws_endpoint or _is_url(self.aws_endpoint),
            "aws_endpoint",
            "must be a URL like http://127.0.0.1:4567",
        )
        need(
            _REGION.fullmatch(self.region) is not None,
            "region",
            "must have the form of an AWS Region, like us-east-1",
        )
        for service, url in self.endpoints.items():
            need(
                service in NEIGHBOURS and _is_url(url),
                "endpoints",
                f"must be pairs like sqs=http://127.0.0.1:9324, of {', '.join(NEIGHBOURS)}",
            )
        need(self.async_concurrency >= 1, "async_concurrency", "must be at least 1")
        need(self.dead_events_size >= 0, "dead_events_size", "must not be negative")
        need(
            re.fullmatch("[0-9]{12}", self.account_id) is not None,
            "account_id",
            "must be 12 digits",
        )
        need(self.time_scale >= 0, "time_scale", "must not be negative")
        need(self.idle_timeout > 0, "idle_timeout", "must be positive")
        need(self.init_timeout > 0, "init_timeout", "must be positive")
        need(0 < self.freeze_after < math.inf, "freeze_after", "must be a positive number")
        need(self.spares >= 0, "spares", "must not be negative")
        need(self.max_contexts >= 1, "max_contexts", "must be at least 1")
        need(self.max_waiting >= 0, "max_waiting", "must not be negative")
        need(self.unreserved_minimum >= 0, "unreserved_minimum", "must not be negative")
        need(
            self.memory_reserve is None or self.memory_reserve >= 0,
            "memory_reserve",
            "must not be negative",
        )
        need(self.log_size >= 65536, "log_size", "must be at least 65536")
        need(self.log_size_total >= self.log_size, "log_size_total", "must not be below log_size")
        need(
            not self.log_delivery or bool(self.endpoint("logs")),
            "log_delivery",
            "needs aws_endpoint, which says where CloudWatch Logs is",
        )
        need(self.account_concurrency >= 1, "account_concurrency", "must be at least 1")
        need(self.scaling_rate >= 0, "scaling_rate", "must not be negative")
        need(self.request_rate >= 0, "request_rate", "must not be negative")
        need(
            _uids_of(self.worker_uids) is not None,
            "worker_uids",
            f"must be two unprivileged uids, like 200000-265535: {_MOST_UIDS} at most",
        )

    @property
    def uids(self) -> range:
        """`worker_uids` as numbers."""
        found = _uids_of(self.worker_uids)
        assert found is not None
        return found

    def endpoint(self, service: str) -> str:
        """Where a neighbour is, by the name of its boto3 client; empty where nobody has said."""
        return self.endpoints.get(service, self.aws_endpoint)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], **overrides: Any) -> Self:
        """Settings from `SAMOVAR_*` variables; `overrides` (the flags) win.

        Raises SettingsError for a value that does not parse and for an unknown `SAMOVAR_` name.
        """
        known = {PREFIX + item.name.upper(): item.name for item in fields(cls)}
        values: dict[str, Any] = {}
        for variable, text in environ.items():
            if not variable.startswith(PREFIX):
                continue
            if variable not in known:
                wrong, right = variable.removeprefix(PREFIX).lower(), known.values()
                near = difflib.get_close_matches(wrong, right, n=1)
                hint = (
                    f"did you mean {PREFIX}{near[0].upper()}?"
                    if near
                    else (f"there are {', '.join(known)}")
                )
                raise SettingsError(f"unknown setting {variable}; {hint}")
            values[known[variable]] = parse(known[variable], text)
        values.update({k: v for k, v in overrides.items() if v is not None})
        return cls(**values)


def _uids_of(text: str) -> range | None:
    """The range that `text` means; None if it means none."""
    match = re.fullmatch("([0-9]{1,10})-([0-9]{1,10})", text)
    found = range(int(match[1]), int(match[2]) + 1) if match else range(0)
    if not 1 <= len(found) <= _MOST_UIDS or found[0] < 1 or found[-1] >= 2**32 - 1:
        return None
    return found


def is_loopback(url: str) -> bool:
    """Whether what answers at `url` is this very machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query


_SWITCHES = {
    **dict.fromkeys(("on", "true", "yes", "1"), True),
    **dict.fromkeys(("off", "false", "no", "0"), False),
}
_CHOICES: Mapping[str, type[StrEnum]] = {
    kind.__name__: kind for kind in (Isolation, ControlGroups, Network)
}
_PARSERS: Mapping[str, Any] = {
    "int": int,
    "int | None": int,
    "float": float,
    "Path": lambda text: Path(text).expanduser(),
    "Path | None": lambda text: Path(text).expanduser(),
    "bool": lambda text: _SWITCHES[text.lower()],
    **_CHOICES,
    "str": str,
    "tuple[Path, ...]": lambda text: tuple(map(Path, filter(None, text.split(os.pathsep)))),
    "tuple[str, ...]": lambda text: tuple(filter(None, map(str.strip, text.split(",")))),
}


def _parse_pairs(text: str) -> dict[str, str]:
    pairs = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        name, found, value = item.partition("=")
        if not found or not value:
            raise ValueError(item)
        pairs[name.strip()] = value.strip()
    return pairs


def parse(name: str, text: str) -> Any:
    """The value of setting `name` from its text form; raises SettingsError."""
    kind = next(str(item.type) for item in fields(Settings) if item.name == name)
    parser = _PARSERS.get(kind, _parse_pairs)
    wanted = {
        "int": "a whole number",
        "int | None": "a whole number",
        "float": "a number",
        "bool": "on or off",
    }.get(kind, kind)
    try:
        return parser(text)
    except (ValueError, KeyError) as error:
        if parser is _parse_pairs:
            wanted = "name=value pairs"
        elif kind in _CHOICES:
            wanted = "one of " + ", ".join(_CHOICES[kind])
        raise SettingsError(f"{name}={text!r}: must be {wanted}") from error
