"""Resource policies: statements as AWS writes them, and the document that they make up.

Pure, and the same for every resource that has a policy. The order of the keys is AWS's, because
clients compare the texts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from samovar.errors import AWS, ClientError
from samovar.model import limits

_VERSION = "2012-10-17"
_ID = "default"

# AWS looks up whether the account, user, role or service exists; here only the form is looked at.
# Services: all end like this (Alexa's in .amazon.com, those of China in .cn).
_SERVICE = re.compile(r"[a-z0-9][a-z0-9.-]*\.(amazonaws\.com(\.cn)?|amazon\.com|aws\.internal)")
_ACCOUNT = re.compile(r"\d{12}", re.ASCII)
_IDENTITY = re.compile(r"arn:aws[a-z-]*:(iam|sts)::(\d{12}|cloudfront):[^\s]+", re.ASCII)

Principal = str | Mapping[str, str]
Condition = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Statement:
    """One permission. `condition` is operator → key → value, empty if there is none."""

    sid: str
    principal: Principal
    action: str
    resource: str
    condition: Condition

    def document(self) -> dict[str, Any]:
        """The statement as a JSON-able value."""
        shown: dict[str, Any] = {
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": self.principal,
            "Action": self.action,
            "Resource": self.resource,
        }
        if self.condition:
            shown["Condition"] = self.condition
        return shown

    def text(self) -> str:
        """The statement as the API tells it: a JSON text."""
        return _text(self.document())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Statement:
        """What `document()` made."""
        return cls(
            document["Sid"],
            document["Principal"],
            document["Action"],
            document["Resource"],
            document.get("Condition", {}),
        )


@dataclass(frozen=True, slots=True)
class Policy:
    """The statements of one resource, in the order in which they were added."""

    statements: tuple[Statement, ...] = ()

    def document(self) -> dict[str, Any]:
        """The policy as a JSON-able value."""
        statements = [statement.document() for statement in self.statements]
        return {"Version": _VERSION, "Id": _ID, "Statement": statements}

    def text(self) -> str:
        """The policy as the API tells it: a JSON text."""
        return _text(self.document())

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Policy:
        """What `document()` made."""
        return cls(tuple(map(Statement.of, document["Statement"])))

    def find(self, sid: str) -> Statement | None:
        """The statement with this id, if there is one."""
        return next((item for item in self.statements if item.sid == sid), None)

    def adding(self, statement: Statement) -> Policy:
        """This policy and `statement`; raises ClientError for an id that is taken (409), and for a
        policy that would be larger than 20 KB."""
        if self.find(statement.sid) is not None:
            raise ClientError(
                AWS.RESOURCE_CONFLICT,
                f"The statement id ({statement.sid}) provided already exists. Please provide a new "
                "statement id, or remove the existing statement.",
            )
        larger = Policy((*self.statements, statement))
        size = len(larger.text().encode())
        if size > limits.POLICY_SIZE:
            raise ClientError(
                AWS.POLICY_LENGTH_EXCEEDED,
                f"The final policy size ({size}) is bigger than the limit ({limits.POLICY_SIZE}).",
            )
        return larger

    def removing(self, sid: str) -> Policy:
        """This policy without a statement; raises AWS's 404 if it has none of that id, or none at
        all."""
        if not self.statements:
            raise no_policy()
        if self.find(sid) is None:
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND, f"Statement {sid} is not found in resource policy."
            )
        return Policy(tuple(item for item in self.statements if item.sid != sid))


def no_policy() -> ClientError:
    """AWS's 404 for a resource that has no policy."""
    return ClientError(AWS.RESOURCE_NOT_FOUND, "No policy is associated with the given resource.")


def principal(text: str) -> Principal:
    """A request's principal as a statement has it; raises ClientError.

    `*` is everybody; a service is named by its domain, an account by its number, and a user or a
    role by its ARN.
    """
    if text == "*":
        return text
    if _SERVICE.fullmatch(text):
        return {"Service": text}
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:aws:iam::{text}:root"}
    if _IDENTITY.fullmatch(text):
        return {"AWS": text}
    raise ClientError(
        AWS.INVALID_PARAMETER,
        "The provided principal was invalid. Please check the principal and try again.",
    )


def condition(
    *,
    source_account: str | None = None,
    organization: str | None = None,
    source_arn: str | None = None,
    event_source_token: str | None = None,
    function_url_auth_type: str | None = None,
    invoked_via_function_url: bool | None = None,
) -> Condition:
    """The condition under which a statement holds; what is None is not asked for.

    The order of the operators is that of AWS's examples; that of the keys is not confirmed.
    """
    equal = {
        "AWS:SourceAccount": source_account,
        "aws:PrincipalOrgID": organization,
        "lambda:EventSourceToken": event_source_token,
        "lambda:FunctionUrlAuthType": function_url_auth_type,
    }
    # Only «true» is recorded; «false» is written as it is asked for.
    via_url = None if invoked_via_function_url is None else str(invoked_via_function_url).lower()
    asked = {
        "StringEquals": equal,
        "ArnLike": {"AWS:SourceArn": source_arn},
        "Bool": {"lambda:InvokedViaFunctionUrl": via_url},
    }
    given = {
        operator: {key: value for key, value in pairs.items() if value is not None}
        for operator, pairs in asked.items()
    }
    return {operator: pairs for operator, pairs in given.items() if pairs}


def _text(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)
