"""Who may call a function: its resource policy.

The door asks them of callers whose keys have names. What the engine does by itself, for event
sources and destinations, asks nobody: it is the account's owner who has set it up.
"""

from __future__ import annotations

from collections.abc import Sequence

from samovar.errors import AWS, ClientError
from samovar.model.function import LATEST
from samovar.model.policy import Policy, Statement
from samovar.registry import transitions
from samovar.registry.attached import Kind
from samovar.registry.attaching import Attaching
from samovar.registry.index import Entry, Index

_LATER = "GetPolicy"  # the operation that the error of a wrong revision advises


class Permissions:
    """The policies of functions: one for the function, and one for each of its versions and
    aliases.

    A change makes a new revision of what the policy belongs to ($LATEST, the version or the alias),
    in the same durable write. All methods raise ClientError for what the caller did wrong.
    """

    def __init__(self, index: Index, attaching: Attaching) -> None:
        self._index = index
        self._attaching = attaching

    async def add(
        self, name: str, qualifier: str | None, statement: Statement, revision_id: str | None = None
    ) -> None:
        """Add a permission to the policy of a function or of one of its qualifiers."""
        if qualifier == LATEST:
            raise ClientError(
                AWS.INVALID_PARAMETER, "We currently do not support adding policies for $LATEST."
            )
        resource = self._resource(name, qualifier)

        def change(entry: Entry) -> object:
            _demand_revision(entry, resource, revision_id)
            return (_policy(entry, resource) or Policy()).adding(statement).document()

        await self._attaching.attach(name, Kind.POLICY, resource, change, revise=True)

    async def remove(
        self, name: str, qualifier: str | None, sid: str, revision_id: str | None = None
    ) -> None:
        """Remove a permission; with its last one the policy goes."""
        resource = self._resource(name, qualifier)

        def change(entry: Entry) -> object:
            smaller = (_policy(entry, resource) or Policy()).removing(sid)
            _demand_revision(entry, resource, revision_id)
            return smaller.document() if smaller.statements else None

        await self._attaching.attach(name, Kind.POLICY, resource, change, revise=True)

    def policy(self, name: str, qualifier: str | None) -> tuple[Policy, str]:
        """The policy and the revision of what it belongs to."""
        resource = self._resource(name, qualifier)
        entry = self._index.entry(name)
        policy = _policy(entry, resource)
        bearer = entry.bearer(resource)
        if policy is None or bearer is None:
            raise ClientError(AWS.RESOURCE_NOT_FOUND, "The resource you requested does not exist.")
        return policy, bearer.revision_id

    def statements(self, name: str, qualifier: str | None) -> Sequence[Statement]:
        """What is allowed on a function under just this qualifier; nothing where it isn't there."""
        try:
            return self.policy(name, qualifier)[0].statements
        except ClientError:
            return ()

    def _resource(self, name: str, qualifier: str | None) -> str:
        """The ARN that a policy belongs to, with the qualifier; raises 404 if it isn't there."""
        self._index.entry(name, qualifier)
        return self._index.arn(name, qualifier)


def _demand_revision(entry: Entry, resource: str, revision_id: str | None) -> None:
    bearer = entry.bearer(resource)
    assert bearer is not None  # `Attaching` sees to it before
    transitions.demand_revision(bearer, revision_id, _LATER)


def _policy(entry: Entry, resource: str) -> Policy | None:
    attached = entry.attached.get((Kind.POLICY, resource))
    return None if attached is None else Policy.of(attached.document)
