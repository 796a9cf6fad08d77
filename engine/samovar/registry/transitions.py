"""The life of a function's record: pure steps from one revision to the next.

Each step makes a new revision id, state transitions too, as AWS does; only what the user changed
makes a new LastModified. A change of code or configuration makes a new generation.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TypeVar

from samovar.errors import AWS, ClientError
from samovar.model.alias import Alias
from samovar.model.function import (
    CodePackage,
    Configuration,
    FunctionVersion,
    LogFormat,
    State,
    UpdateStatus,
    default_log_group,
)

# AWS says the same of an update as of a creation (recorded replies).
_REASON = "The function is being created."
_REASON_CODE = "Creating"
_LEVELS = ("application_log_level", "system_log_level")
_NO_RELOAD_CODE = "InvalidConfiguration"  # of the codes that AWS has, the nearest

Revised = TypeVar("Revised", bound=FunctionVersion | Alias)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationChanges:
    """What UpdateFunctionConfiguration may change; None leaves a part alone.

    `environment` replaces all variables; an empty mapping removes them. `layers` are the ARNs of
    layer versions, which the registry looks up. Units as in `Configuration`.
    """

    handler: str | None = None
    runtime: str | None = None
    role: str | None = None
    description: str | None = None
    timeout: int | None = None
    memory_size: int | None = None
    ephemeral_storage: int | None = None
    environment: Mapping[str, str] | None = field(default=None, repr=False)
    log_group: str | None = None
    vpc_config_given: bool | None = None
    layers: Sequence[str] | None = None
    log_format: str | None = None
    application_log_level: str | None = None
    system_log_level: str | None = None
    snap_start: str | None = None
    dead_letter: str | None = None

    def applied_to(self, configuration: Configuration) -> Configuration:
        """`configuration` with the given parts replaced, but for the layers."""
        given = {item.name: getattr(self, item.name) for item in fields(self)}
        del given["layers"]
        given = {name: value for name, value in given.items() if value is not None}
        if self.log_format == LogFormat.TEXT:  # which has no levels
            given = dict.fromkeys(_LEVELS) | given
        return replace(configuration, **given)


def new_revision() -> str:
    """A revision id: a random UUID, as AWS's are."""
    return str(uuid.uuid4())


def created(
    name: str,
    arn: str,
    configuration: Configuration,
    code: CodePackage,
    *,
    generation: int,
    now: float,
) -> FunctionVersion:
    """A new function, Pending."""
    return FunctionVersion(
        name=name,
        arn=arn,
        configuration=configuration,
        code=code,
        revision_id=new_revision(),
        last_modified=now,
        generation=generation,
        state=State.PENDING,
        state_reason=_REASON,
        state_reason_code=_REASON_CODE,
    )


def updated(
    function: FunctionVersion,
    configuration: Configuration,
    code: CodePackage,
    *,
    generation: int,
    now: float,
) -> FunctionVersion:
    """`function` with new code or configuration, its update in progress."""
    return replace(
        function,
        configuration=configuration,
        code=code,
        revision_id=new_revision(),
        last_modified=now,
        generation=generation,
        update_status=UpdateStatus.IN_PROGRESS,
        update_reason=_REASON,
        update_reason_code=_REASON_CODE,
    )


def settled(function: FunctionVersion) -> FunctionVersion:
    """What comes of a creation or an update once it is carried out."""
    return replace(
        function,
        revision_id=new_revision(),
        state=State.ACTIVE,
        state_reason=None,
        state_reason_code=None,
        update_status=UpdateStatus.SUCCESSFUL,
        update_reason=None,
        update_reason_code=None,
    )


def published(
    latest: FunctionVersion,
    number: int,
    code: CodePackage,
    description: str | None,
    *,
    generation: int,
    now: float,
) -> FunctionVersion:
    """The version `number` of a function, Pending: `latest` as it is now, with `code` as its code,
    and with a description of its own if one is given."""
    own = latest.configuration.description
    return replace(
        latest,
        version=str(number),
        configuration=replace(
            latest.configuration, description=own if description is None else description
        ),
        code=code,
        revision_id=new_revision(),
        last_modified=now,
        generation=generation,
        state=State.PENDING,
        state_reason=_REASON,
        state_reason_code=_REASON_CODE,
        update_status=None,
        update_reason=None,
        update_reason_code=None,
        last_number=0,
        latest_description=own,
    )


def numbered(latest: FunctionVersion, number: int) -> FunctionVersion:
    """`latest` that remembers the number of the last version."""
    return replace(latest, last_number=number)


def is_unchanged(
    latest: FunctionVersion, last: FunctionVersion, code: CodePackage, description: str | None
) -> bool:
    """Whether to publish `latest`, with `code` and `description`, would only repeat `last`.

    A description that is given is compared with that of `last`; otherwise, whether `$LATEST`'s is
    the one that it was then. A version that Failed is no result, and is not repeated (unconfirmed).
    """
    if last.state is State.FAILED:
        return False
    described = (
        latest.configuration.description == last.latest_description
        if description is None
        else description == last.configuration.description
    )
    alike = _compared(latest) == _compared(last)
    # How the code is preloaded is judged anew by each Samovar, and is no part of it.
    same = (code.sha256, code.import_paths) == (last.code.sha256, last.code.import_paths)
    return described and alike and same


def _compared(version: FunctionVersion) -> Configuration:
    """What of a configuration is compared: a log group that is named is no other one than the same
    by default."""
    configuration = version.configuration
    log_group = configuration.log_group or default_log_group(version.name)
    return replace(configuration, description="", log_group=log_group)


def ready(version: FunctionVersion) -> FunctionVersion:
    """What comes of a published version; it keeps its revision."""
    return replace(settled(version), revision_id=version.revision_id)


def failed(version: FunctionVersion, reason: str, code: str) -> FunctionVersion:
    """A published version that could not be made ready; it keeps its revision."""
    return replace(
        version, state=State.FAILED, state_reason=reason, state_reason_code=code, update_status=None
    )


def reloaded(
    function: FunctionVersion, code: CodePackage, *, generation: int, now: float
) -> FunctionVersion:
    """`function` with the code that its directory holds now: an update that nobody asked for, and
    that is over as soon as it shows."""
    return settled(updated(function, function.configuration, code, generation=generation, now=now))


def not_reloaded(function: FunctionVersion, reason: str) -> FunctionVersion:
    """`function` whose directory can't be taken in: it runs on as it is, and says why."""
    return replace(
        function,
        revision_id=new_revision(),
        update_status=UpdateStatus.FAILED,
        update_reason=reason,
        update_reason_code=_NO_RELOAD_CODE,
    )


def is_settled(function: FunctionVersion) -> bool:
    """Whether nothing is under way."""
    return (
        function.state is not State.PENDING
        and function.update_status is not UpdateStatus.IN_PROGRESS
    )


def demand_settled(function: FunctionVersion) -> None:
    """Raise AWS's 409 if a creation or an update is under way."""
    if is_settled(function):
        return
    if function.state is State.PENDING:
        raise ClientError(
            AWS.RESOURCE_CONFLICT,
            f"The operation cannot be performed at this time. The resource {function.arn} is "
            "currently in the following state: 'Pending'. StateReasonCode: "
            f"'{function.state_reason_code}'",
        )
    raise being_updated(function.arn)


def being_updated(arn: str) -> ClientError:
    """AWS's 409 for a change that comes into another one."""
    return ClientError(
        AWS.RESOURCE_CONFLICT,
        "The operation cannot be performed at this time. An update is in progress for resource: "
        f"{arn}",
    )


def revised(present: Revised) -> Revised:
    """The same under a new revision: something that belongs to it was changed."""
    return replace(present, revision_id=new_revision())


def demand_revision(
    present: FunctionVersion | Alias,
    revision_id: str | None,
    operation: str = "GetFunction/GetAlias",
) -> None:
    """Raise AWS's 412 if a revision is given and it is not that of `present`; `operation` is where
    the error sends the caller."""
    if revision_id is not None and revision_id != present.revision_id:
        raise ClientError(
            AWS.PRECONDITION_FAILED,
            "The Revision Id provided does not match the latest Revision Id. Call the "
            f"{operation} API to retrieve the latest Revision Id",
        )
