"""Whose key a profile's is: an account, a user or a role, and what that one may do."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

from samovar.doors.http.api_model import operation_models
from samovar.model.access import Caller, account_of, covers, root_arn

ACCOUNT = "account"
PRINCIPAL = "principal"
ORGANIZATION = "organization"
ALLOW = "allow"
NAMES = (ACCOUNT, PRINCIPAL, ORGANIZATION, ALLOW)

# What an operation's action is called where it is not called as the operation (service
# authorization reference).
_ACTIONS = {
    "Invoke": "InvokeFunction",
    "InvokeWithResponseStream": "InvokeFunction",
    "GetLayerVersionByArn": "GetLayerVersion",
}
OPERATE = "samovar:Operate"  # ours: the pages of the engine that need a signature

_ORGANIZATION = re.compile(r"o-[a-z0-9]{10,32}")  # API reference of Organizations


def action_of(operation: str) -> str:
    """The action that a caller of an operation needs."""
    return f"lambda:{_ACTIONS.get(operation, operation)}"


def caller_of(values: Mapping[str, str]) -> Caller | None:
    """Who signs with a profile's key; None where it does not say.

    Raises ValueError, whose text begins with the setting that is wrong.
    """
    if not any(name in values for name in NAMES):
        return None
    account, arn = values.get(ACCOUNT), values.get(PRINCIPAL)
    if account is not None and re.fullmatch("[0-9]{12}", account) is None:
        raise ValueError(f"{ACCOUNT} must be the 12 digits of an account")
    if arn is not None:
        of = account_of(arn)
        if of is None:
            raise ValueError(
                f"{PRINCIPAL} must be the ARN of a user, a role, a role's session or an account's "
                "root, such as arn:aws:iam::111122223333:role/reader"
            )
        if account not in (None, of):
            raise ValueError(f"{PRINCIPAL} is of the account {of}, and {ACCOUNT} says {account}")
        account = of
    if account is None:
        said = next(name for name in NAMES if name in values)
        raise ValueError(f"{said} needs {ACCOUNT} or {PRINCIPAL} beside it: whose key is it?")
    organization = values.get(ORGANIZATION)
    if organization is not None and _ORGANIZATION.fullmatch(organization) is None:
        raise ValueError(f"{ORGANIZATION} must be an organization's id, such as o-a1b2c3d4e5")
    arn = arn or root_arn(account)
    allow = _allow(values[ALLOW], arn) if ALLOW in values else None
    return Caller(account, arn, allow, organization)


def _allow(text: str, arn: str) -> tuple[str, ...]:
    if arn.endswith(":root"):
        raise ValueError(
            f"{ALLOW} needs a user or a role as {PRINCIPAL}: an account's root may do all that the "
            "account may"
        )
    actions = tuple(part.strip() for part in text.split(",") if part.strip())
    if not actions:
        raise ValueError(f"{ALLOW} is empty; leave it out, or name actions: lambda:InvokeFunction")
    for number, action in enumerate(actions, 1):
        if not any(covers(action, known) for known in _known()):
            raise ValueError(
                f"{ALLOW}: number {number} is no action of the Lambda API, nor {OPERATE}; write "
                "such as lambda:InvokeFunction, lambda:Get*"
            )
    return actions


@lru_cache(maxsize=1)
def _known() -> frozenset[str]:
    return frozenset(map(action_of, operation_models())) | {OPERATE}
