"""Whether whoever signed a request may do what it asks for. Only keys that have names are asked."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from samovar.doors.http.key_names import OPERATE, action_of
from samovar.doors.http.operations import OPERATIONS
from samovar.errors import AWS, ClientError
from samovar.model.access import Caller, Decision, decide
from samovar.model.arn import FunctionReference, function_arn
from samovar.model.layer import LayerReference
from samovar.model.policy import Statement
from samovar.registry.functions import FunctionRegistry
from samovar.registry.tags import kind_of

_NO_POLICY_OF_A_FUNCTION = frozenset(
    {
        "CreateFunction",  # it isn't there yet
        # Mappings have no policies, whichever function they are for.
        "CreateEventSourceMapping",
        "ListEventSourceMappings",
        "UpdateEventSourceMapping",
    }
)
_GET_LAYER = "GetLayerVersion"


class Meant(Protocol):
    """A function as a request means it; `account_named`: it says of which account."""

    @property
    def name(self) -> str: ...
    @property
    def qualifier(self) -> str | None: ...
    @property
    def arn(self) -> str: ...
    @property
    def account_named(self) -> bool: ...


class Authorizer:
    """Asks the policies of one engine. Every `demand…` raises ClientError, AccessDeniedException,
    unless the caller may; a resource that isn't there has no policy, so it is not told apart."""

    def __init__(self, registry: FunctionRegistry, region: str, account: str) -> None:
        self._registry = registry
        self._region = region
        self._account = account

    def demand(self, caller: Caller, operation: str, params: Mapping[str, Any]) -> None:
        """Demand that `caller` may carry out an operation, of which these are the parameters."""
        if self._may_all(caller):
            return
        self._demand_one(caller, operation, params)
        # AWS asks for it of whoever gives a function a layer.
        for arn in params.get("Layers", ()):
            self._demand_layer(caller, _GET_LAYER, *_layer_version(arn))

    def demand_function(self, caller: Caller, operation: str, meant: Meant) -> None:
        """Demand that `caller` may carry out an operation on a function, under this very
        qualifier."""
        if self._may_all(caller):
            return
        if caller.account != self._account and not meant.account_named:
            theirs = function_arn(self._region, caller.account, meant.name, meant.qualifier)
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND,
                f"Function not found: {theirs}. A name alone means a function of the caller's own "
                f"account; this engine has those of {self._account}: name one by its ARN.",
            )
        statements = self._registry.permissions.statements(meant.name, meant.qualifier)
        self._decide(caller, action_of(operation), meant.arn, statements)

    def demand_pages(self, caller: Caller, path: str) -> None:
        """Demand that `caller` may see and do what the engine's own pages do for keys alone."""
        if not self._may_all(caller):
            self._decide(caller, OPERATE, path)

    def _may_all(self, caller: Caller) -> bool:
        return caller.allow is None and caller.account == self._account

    def _demand_one(self, caller: Caller, operation: str, params: Mapping[str, Any]) -> None:
        if operation == "GetLayerVersionByArn":
            self._demand_layer(caller, operation, *_layer_version(params["Arn"]))
        elif "VersionNumber" in params:
            self._demand_layer(caller, operation, params["LayerName"], params["VersionNumber"])
        elif "FunctionName" in params and operation not in _NO_POLICY_OF_A_FUNCTION:
            self._demand_on(caller, operation, params["FunctionName"], params.get("Qualifier"))
        elif "Resource" in params and kind_of(params["Resource"]) is None:
            self._demand_on(caller, operation, params["Resource"], None)
        else:
            self._decide(caller, action_of(operation), self._shown(params))

    def _demand_on(self, caller: Caller, operation: str, text: str, qualifier: str | None) -> None:
        reference = FunctionReference.parse(
            text, qualifier, region=self._region, account=self._account
        )
        carried = OPERATIONS[operation].carried
        if "Qualifier" not in carried and operation != "InvokeAsync":
            # On the function as a whole, whatever qualifier its name may bring along.
            reference = reference.whole()
        self.demand_function(caller, operation, reference)

    def _demand_layer(self, caller: Caller, operation: str, layer: str, number: int) -> None:
        reference = LayerReference.parse(layer)
        if caller.account != self._account and reference.account is None:
            raise ClientError(
                AWS.RESOURCE_NOT_FOUND,
                "The resource you requested does not exist. A name alone means a layer of the "
                f"caller's own account; this engine has those of {self._account}: name one by its "
                "ARN.",
            )
        region, account = reference.region or self._region, reference.account or self._account
        arn = f"arn:aws:lambda:{region}:{account}:layer:{reference.name}:{number}"
        statements = self._registry.layers.statements_of(arn)
        self._decide(caller, action_of(operation), arn, statements)

    def _shown(self, params: Mapping[str, Any]) -> str:
        """What an operation is on that no resource policy is asked for; as the error names it."""
        here = f"arn:aws:lambda:{self._region}:{self._account}"
        for name, kind in (
            ("FunctionName", "function"),
            ("LayerName", "layer"),
            ("UUID", "event-source-mapping"),
        ):
            if name in params:
                given: str = params[name]
                return given if given.startswith("arn:") else f"{here}:{kind}:{given}"
        return str(params.get("CodeSigningConfigArn") or params.get("Resource") or "*")

    def _decide(
        self, caller: Caller, action: str, resource: str, statements: Iterable[Statement] = ()
    ) -> None:
        decision = decide(caller, self._account, action, statements)
        if decision is not Decision.ALLOWED:
            raise ClientError(
                AWS.ACCESS_DENIED,
                f"User: {caller.arn} is not authorized to perform: {action} on resource: "
                f"{resource} because no {decision.value} policy allows the {action} action",
            )


def _layer_version(arn: str) -> tuple[str, int]:
    layer, _, number = arn.rpartition(":")
    # What is no version of a layer has no policy either; the operation says what is wrong with it.
    return (layer, int(number)) if number.isdecimal() else (arn, 0)
