"""Who may do what: callers, and what identity and resource policies say of them.

Pure. How AWS combines the two (IAM user guide, «Policy evaluation logic»): within an account one of
them is enough, across accounts it takes both. There is no IAM here, so the only identity policy is
the list of actions that a caller may come with; without one its account is taken to allow all.
Statements only ever allow, as AddPermission makes no others.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

from samovar.model.policy import Condition, Principal, Statement

_IDENTITY = re.compile(
    r"arn:aws[a-z-]*:"
    r"(iam::(?P<account>\d{12}):(root|user/(\S*/)?[\w+=,.@-]{1,64}|role/(\S*/)?[\w+=,.@-]{1,64})"
    r"|sts::(?P<session_account>\d{12}):(assumed-role/[\w+=,.@-]{1,64}/[\w+=,.@-]{2,64}"
    r"|federated-user/[\w+=,.@-]{2,32}))",
    re.ASCII,
)
_SESSION = re.compile(r"(arn:aws[a-z-]*:)sts(::\d{12}:)assumed-role/([^/]+)/[^/]+", re.ASCII)


def root_arn(account: str) -> str:
    """The ARN that stands for an account as a whole."""
    return f"arn:aws:iam::{account}:root"


def account_of(arn: str) -> str | None:
    """The account of a root, user, role, role's session or federated user; None for no such ARN."""
    match = _IDENTITY.fullmatch(arn)
    return None if match is None else match["account"] or match["session_account"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `arn` is its root's, a user's, a role's or a session's, of `account`.

    `allow`: the actions that it may do, with the wildcards of IAM; None for all. `organization` is
    what its account belongs to (`o-…`).
    """

    account: str
    arn: str
    allow: tuple[str, ...] | None = None
    organization: str | None = None


class Decision(Enum):
    """What came of asking; the values are AWS's words for the policy that is missing."""

    ALLOWED = ""
    NOT_BY_IDENTITY = "identity-based"
    NOT_BY_RESOURCE = "resource-based"


class Named(Enum):
    """How a statement's principal means a caller, if it does."""

    NOT = 0
    BY_ACCOUNT = 1  # its account is trusted, whose own policies decide then
    ITSELF = 2


def decide(
    caller: Caller, owner: str, action: str, statements: Iterable[Statement] = ()
) -> Decision:
    """Whether `caller` may do `action` (`lambda:GetFunction`) to something of the account `owner`,
    of whose resource policy these are the statements."""
    by_identity = caller.allow is None or any(covers(one, action) for one in caller.allow)
    if caller.account == owner:
        if by_identity or Named.ITSELF in _named(caller, action, statements):
            return Decision.ALLOWED
        return Decision.NOT_BY_IDENTITY
    if not by_identity:
        return Decision.NOT_BY_IDENTITY
    if {Named.ITSELF, Named.BY_ACCOUNT} & _named(caller, action, statements):
        return Decision.ALLOWED
    return Decision.NOT_BY_RESOURCE


def _named(caller: Caller, action: str, statements: Iterable[Statement]) -> set[Named]:
    return {
        named(statement.principal, caller)
        for statement in statements
        if covers(statement.action, action) and holds(statement.condition, caller)
    }


def named(principal: Principal, caller: Caller) -> Named:
    """How a statement's principal means `caller`. Services are nobody who calls the API."""
    text = principal if isinstance(principal, str) else principal.get("AWS")
    if text is None:
        return Named.NOT
    if text in ("*", caller.arn):
        return Named.ITSELF
    if text == caller.account or (text.endswith(":root") and account_of(text) == caller.account):
        return Named.BY_ACCOUNT
    session = _SESSION.fullmatch(caller.arn)
    if session is None:
        return Named.NOT
    # A session's ARN has no path of its role: no two roles of an account differ by it alone.
    start, _, name = text.partition(f"{session[2]}role/")
    same = start == f"{session[1]}iam" and name.rpartition("/")[2] == session[3]
    return Named.ITSELF if same else Named.NOT


def holds(condition: Condition, caller: Caller) -> bool:
    """Whether a statement's condition is true of a call of the API that `caller` signed.

    No service made it on behalf of a source, it came through no function URL, and bears no token
    of an event source: a condition on one of these never holds, nor does one that is not known.
    """
    facts = _facts(caller)
    for operator, pairs in condition.items():
        if operator not in ("StringEquals", "Bool"):
            return False
        for key, wanted in pairs.items():
            if facts.get(key.lower()) != wanted:
                return False
    return True


def _facts(caller: Caller) -> Mapping[str, str]:
    facts = {
        "aws:principalaccount": caller.account,
        "aws:principalarn": caller.arn,
        "lambda:invokedviafunctionurl": "false",
    }
    if caller.organization is not None:
        facts["aws:principalorgid"] = caller.organization
    return facts


def covers(pattern: str, action: str) -> bool:
    """Whether an action of a policy, with `*` and `?`, means `action`; letters' case is nothing."""
    return _pattern(pattern).fullmatch(action) is not None


@lru_cache(maxsize=1024)
def _pattern(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile(
        "".join(parts.get(letter) or re.escape(letter) for letter in text), re.IGNORECASE
    )
