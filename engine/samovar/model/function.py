"""Functions and versions as the registry keeps them and the scheduler runs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

LATEST = "$LATEST"
# What is written down where a role is not the point: no call is made with it.
DEFAULT_ROLE = "arn:aws:iam::{account}:role/samovar"
# The S3Bucket that stands for directories of the engine's machine, by the name that LocalStack's
# users know. A real bucket of this name can't be deployed from.
HOT_RELOAD = "hot-reload"


class State(StrEnum):
    """Function states (AWS's words)."""

    PENDING = "Pending"
    ACTIVE = "Active"
    INACTIVE = "Inactive"
    FAILED = "Failed"


class UpdateStatus(StrEnum):
    """What became of the last update (AWS's words)."""

    SUCCESSFUL = "Successful"
    FAILED = "Failed"
    IN_PROGRESS = "InProgress"


class SnapStart(StrEnum):
    """SnapStart's ApplyOn (AWS's words)."""

    NONE = "None"
    PUBLISHED_VERSIONS = "PublishedVersions"


class LogFormat(StrEnum):
    """LoggingConfig's LogFormat (AWS's words)."""

    TEXT = "Text"
    JSON = "JSON"


# ApplicationLogLevel and SystemLogLevel, from most to least (service model).
APPLICATION_LOG_LEVELS = ("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL")
SYSTEM_LOG_LEVELS = ("DEBUG", "INFO", "WARN")


@dataclass(frozen=True, slots=True)
class CodePackage:
    """A deployment package in the code store.

    `sha256` is the hex digest of the zip (AWS shows it in base64); `size` is the zip's size in
    bytes. `preload` names the zygote family that suits the package («bare» or «boto3», see
    `samovar.registry.packages`); it is chosen so that a preloaded module never shadows a copy that
    the package brings along. `import_paths` are directories of the host that the embedding program
    shares with the function, read-only, after the package's own code; only functions made from a
    `module:function` have any. `directory` is the real path that hot reload takes the code from, «»
    for a package that stays as it is: then there is no zip, `sha256` is a digest of the files and
    `size` is theirs.
    """

    sha256: str
    size: int
    preload: str = "bare"
    import_paths: tuple[str, ...] = ()
    directory: str = ""


@dataclass(frozen=True, slots=True)
class AttachedLayer:
    """A layer version as a function has it: all that is needed once the version is deleted.

    `arn` is the version's; `sha256` and `size` are its zip's, as a CodePackage has them;
    `unzipped` is bytes of its files. `own_boto3`: a preloaded boto3 would shadow what it brings.
    """

    arn: str
    sha256: str
    size: int
    unzipped: int
    own_boto3: bool = False


@dataclass(frozen=True, slots=True)
class Configuration:
    """What the user may set, with AWS's defaults. Units: MB for sizes, seconds for the timeout.

    `environment` is None when it was never given: AWS leaves the key out of replies then. So it is
    with a VpcConfig, of which only an empty one can be given. `layers` are in the order in which
    they are merged: what a later one has wins. `snap_start` is SnapStart's ApplyOn. A level that is
    not given is INFO in a JSON log; a text log has none. `dead_letter` is the ARN of a queue or a
    topic: that of `$LATEST` counts for all versions.
    """

    handler: str
    runtime: str
    role: str
    description: str = ""
    timeout: int = 3
    memory_size: int = 128
    ephemeral_storage: int = 512
    # Values are secrets: of what has an environment nothing that is printed or logged shows it.
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    log_group: str | None = None
    vpc_config_given: bool = False
    layers: tuple[AttachedLayer, ...] = ()
    log_format: str = LogFormat.TEXT.value
    application_log_level: str | None = None
    system_log_level: str | None = None
    snap_start: str = SnapStart.NONE.value
    dead_letter: str = ""

    def __post_init__(self) -> None:
        if self.log_format == LogFormat.JSON:
            for name in ("application_log_level", "system_log_level"):
                if getattr(self, name) is None:
                    object.__setattr__(self, name, "INFO")


def default_log_group(name: str) -> str:
    """The log group of a function that names none."""
    return f"/aws/lambda/{name}"


class PoolKey(NamedTuple):
    """What the key of a version's contexts says; `function` is the unqualified ARN."""

    function: str
    version: str
    generation: int

    @classmethod
    def of(cls, text: str) -> PoolKey:
        """Take apart what `text` made."""
        function, _, rest = text.rpartition(":")
        version, _, generation = rest.partition("#")
        return cls(function, version, int(generation))

    @property
    def text(self) -> str:
        return f"{self.function}:{self.version}#{self.generation}"


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """One runnable version of a function; `$LATEST` is the mutable one.

    `generation` counts the changes of code or configuration; contexts of an older generation
    drain. `last_modified` is seconds since the epoch.

    `last_number` is known of `$LATEST` alone: the highest number that a version of the function was
    ever given, 0 before the first. `latest_description` is known of the others: the description
    that `$LATEST` had when they were published, which may not be theirs.
    """

    name: str
    arn: str  # unqualified
    configuration: Configuration
    code: CodePackage
    revision_id: str
    last_modified: float
    version: str = LATEST
    generation: int = 1
    state: State = State.PENDING
    state_reason: str | None = None
    state_reason_code: str | None = None
    update_status: UpdateStatus | None = None
    update_reason: str | None = None
    update_reason_code: str | None = None
    last_number: int = 0
    latest_description: str = ""
    pool: str = field(default="", compare=False)

    def __post_init__(self) -> None:
        # Built once here because the scheduler looks it up on every invocation.
        key = PoolKey(self.arn, self.version, self.generation)
        object.__setattr__(self, "pool", key.text)

    def arn_as_invoked(self, qualifier: str | None) -> str:
        """The ARN as an invocation by `qualifier` means it: qualified only if that is given."""
        return f"{self.arn}:{qualifier}" if qualifier else self.arn

    @property
    def qualified_arn(self) -> str:
        """The ARN of just this version."""
        return f"{self.arn}:{self.version}"

    @property
    def starts_from_template(self) -> bool:
        """Whether SnapStart is asked for: `$LATEST` never starts with it."""
        asked = self.configuration.snap_start == SnapStart.PUBLISHED_VERSIONS
        return asked and self.version != LATEST

    @property
    def preload(self) -> str:
        """The zygote family that suits code and layers; nothing preloaded shadows either."""
        layers = self.configuration.layers
        return "bare" if any(layer.own_boto3 for layer in layers) else self.code.preload
