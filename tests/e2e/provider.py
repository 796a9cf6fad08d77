"""The calls that Terraform's AWS provider makes for the resources of Lambda, in its order.

Written down from what the provider does; none of its code is here. A resource is told what its
block says (`given`, by the names of the API), and gives back what the provider would keep as state.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

# What the provider's schema puts where a block says nothing, and compares afterwards.
DEFAULTS: dict[str, Any] = {
    "Description": "",
    "MemorySize": 128,
    "Timeout": 3,
    "PackageType": "Zip",
    "KMSKeyArn": "",
    "Layers": [],
    "Environment": None,
    "DeadLetterConfig": None,
    "FileSystemConfigs": [],
    "ImageConfig": None,
    "Tags": {},
    "ReservedConcurrentExecutions": -1,
    "CodeSigningConfigArn": "",
}
# What the service may choose where a block says nothing.
COMPUTED = ("Architectures", "EphemeralStorage", "LoggingConfig", "TracingConfig")
_RESERVED = "ReservedConcurrentExecutions"
_BY_ITSELF = {"ZipFile", _RESERVED}
_DESTINATIONS = ("OnSuccess", "OnFailure")
_OF_CODE = {"ZipFile", "Architectures"}
# What an update says to take a block away again.
_TAKEN_AWAY: dict[str, Any] = {
    "Description": "",
    "Environment": {"Variables": {}},
    "DeadLetterConfig": {"TargetArn": ""},
    "FileSystemConfigs": [],
    "ImageConfig": {},
    "KMSKeyArn": "",
    "Layers": [],
    "MemorySize": 128,
    "Timeout": 3,
    "SnapStart": {"ApplyOn": "None"},
    "VpcConfig": {"SubnetIds": [], "SecurityGroupIds": [], "Ipv6AllowedForDualStack": False},
}


class Function:
    """aws_lambda_function."""

    def __init__(self, aws: Any, name: str) -> None:
        self.aws = aws
        self.name = name

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        sent = {name: value for name, value in given.items() if name not in _BY_ITSELF}
        sent.setdefault("Publish", False)
        for name in ("Description", "MemorySize", "PackageType", "Timeout"):
            sent.setdefault(name, DEFAULTS[name])
        self.aws.create_function(FunctionName=self.name, Code={"ZipFile": given["ZipFile"]}, **sent)
        self._until("State", "Active", "Pending")
        self._reserve({}, given)
        return self.read()

    def update(self, before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        changed = {name for name in {*before, *given} if before.get(name) != given.get(name)}
        changed -= {name for name in COMPUTED if name not in given}
        of_configuration = changed - _OF_CODE - {"Tags", "Publish", _RESERVED}
        if changed & {"Tags"}:
            self._retag(before.get("Tags", {}), given.get("Tags", {}))
        if of_configuration:
            sent = {name: given.get(name, _TAKEN_AWAY.get(name)) for name in of_configuration}
            self.aws.update_function_configuration(
                FunctionName=self.name,
                **{name: value for name, value in sent.items() if value is not None},
            )
            self._until("LastUpdateStatus", "Successful", "InProgress")
        if changed & _OF_CODE:
            self.aws.update_function_code(
                FunctionName=self.name, **{name: given[name] for name in {*_OF_CODE} & {*given}}
            )
            self._until("LastUpdateStatus", "Successful", "InProgress")
        self._reserve(before, given)
        if given.get("Publish") and changed - {"Tags", _RESERVED}:
            made = self.aws.publish_version(FunctionName=self.name)
            self._until("State", "Active", "Pending", made["FunctionArn"])
        return self.read()

    def read(self) -> dict[str, Any]:
        found = self.aws.get_function(FunctionName=self.name)
        shown = found["Configuration"]
        state = {name: shown.get(name, default) for name, default in DEFAULTS.items()}
        state |= {name: shown.get(name) for name in ("Handler", "Role", "Runtime", *COMPUTED)}
        state["Layers"] = [layer["Arn"] for layer in shown.get("Layers", [])]
        if not (shown.get("Environment") or {}).get("Variables"):
            state["Environment"] = None
        state["Tags"] = found.get("Tags", {})
        kept = found.get("Concurrency", {})
        state["ReservedConcurrentExecutions"] = kept.get("ReservedConcurrentExecutions", -1)
        pages = self.aws.get_paginator("list_versions_by_function")
        config = {"PageSize": 10000}
        versions = pages.paginate(FunctionName=self.name, PaginationConfig=config)
        latest = versions.build_full_result()["Versions"][-1]
        state |= {"Version": latest["Version"], "QualifiedArn": latest["FunctionArn"]}
        signing = self.aws.get_function_code_signing_config(FunctionName=self.name)
        state["CodeSigningConfigArn"] = signing.get("CodeSigningConfigArn", "")
        unseen = ("Arn", "CodeSha256", "CodeSize", "LastModified")
        state |= {name: shown.get(name) for name in unseen}
        return state

    def delete(self) -> None:
        self.aws.delete_function(FunctionName=self.name)
        try:
            self.aws.get_function(FunctionName=self.name)
        except self.aws.exceptions.ResourceNotFoundException:
            return
        raise AssertionError("a deleted function is there")

    def _reserve(self, before: dict[str, Any], given: dict[str, Any]) -> None:
        """The last step of both; -1, which is the default, stands for nothing reserved."""
        wanted = given.get(_RESERVED, -1)
        if wanted == before.get(_RESERVED, -1):
            return
        if wanted >= 0:
            self.aws.put_function_concurrency(FunctionName=self.name, **{_RESERVED: wanted})
        else:
            self.aws.delete_function_concurrency(FunctionName=self.name)

    def _retag(self, before: dict[str, str], after: dict[str, str]) -> None:
        arn = self.aws.get_function(FunctionName=self.name)["Configuration"]["FunctionArn"]
        assert self.aws.list_tags(Resource=arn)["Tags"] == before
        gone = sorted(set(before) - set(after))
        if gone:
            self.aws.untag_resource(Resource=arn, TagKeys=gone)
        added = {key: value for key, value in after.items() if before.get(key) != value}
        if added:
            self.aws.tag_resource(Resource=arn, Tags=added)

    def _until(self, field: str, wanted: str, pending: str, arn: str | None = None) -> None:
        while True:
            shown = self.aws.get_function(FunctionName=arn or self.name)["Configuration"]
            if shown[field] == wanted:
                return
            assert shown[field] == pending, shown


class Alias:
    """aws_lambda_alias. `given` is FunctionVersion, and Description and weights where there are
    any."""

    def __init__(self, aws: Any, function: str, name: str) -> None:
        self.aws = aws
        self.at = {"FunctionName": function, "Name": name}

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        self.aws.create_alias(**self.at, **self._sent(given))
        return self.read()

    def update(self, given: dict[str, Any]) -> dict[str, Any]:
        self.aws.update_alias(**self.at, **self._sent(given))
        return self.read()

    def read(self) -> dict[str, Any]:
        found = self.aws.get_alias(**self.at)
        weights = found.get("RoutingConfig", {}).get("AdditionalVersionWeights", {})
        shown = ("AliasArn", "Description", "FunctionVersion")
        return {**{name: found[name] for name in shown}, "Weights": weights}

    def delete(self) -> None:
        self.aws.delete_alias(**self.at)

    @staticmethod
    def _sent(given: dict[str, Any]) -> dict[str, Any]:
        weights = {"AdditionalVersionWeights": given.get("Weights", {})}
        return {
            "FunctionVersion": given["FunctionVersion"],
            "Description": given.get("Description", ""),
            "RoutingConfig": weights,
        }


class EventInvokeConfig:
    """aws_lambda_function_event_invoke_config; `given` has destinations by OnSuccess and OnFailure,
    and what is not there is left to the provider."""

    DEFAULTS: ClassVar[dict[str, Any]] = {
        "MaximumRetryAttempts": 2,  # the schema's, and always sent
        "MaximumEventAgeInSeconds": 0,
        "OnSuccess": "",
        "OnFailure": "",
    }

    def __init__(self, aws: Any, function: str, qualifier: str) -> None:
        self.aws = aws
        self.at = {"FunctionName": function} | ({"Qualifier": qualifier} if qualifier else {})

    def apply(self, given: dict[str, Any]) -> dict[str, Any] | None:
        """Create and update are one: all of it is put."""
        config = {key: {"Destination": given[key]} for key in _DESTINATIONS if key in given}
        sent: dict[str, Any] = {
            "DestinationConfig": config,
            "MaximumRetryAttempts": given.get("MaximumRetryAttempts", 2),
        }
        if "MaximumEventAgeInSeconds" in given:
            sent["MaximumEventAgeInSeconds"] = given["MaximumEventAgeInSeconds"]
        self.aws.put_function_event_invoke_config(**self.at, **sent)
        return self.read()

    def read(self) -> dict[str, Any] | None:
        """None for one that is to be made anew."""
        try:
            found = self.aws.get_function_event_invoke_config(**self.at)
        except self.aws.exceptions.ResourceNotFoundException:
            return None
        config = found.get("DestinationConfig", {})
        return {
            "MaximumRetryAttempts": found.get("MaximumRetryAttempts", 0),
            "MaximumEventAgeInSeconds": found.get("MaximumEventAgeInSeconds", 0),
            **{key: config.get(key, {}).get("Destination", "") for key in _DESTINATIONS},
        }

    def delete(self) -> None:
        try:
            self.aws.delete_function_event_invoke_config(**self.at)
        except self.aws.exceptions.ResourceNotFoundException:
            pass


class EventSourceMapping:
    """aws_lambda_event_source_mapping; `given` is what its block says, by the names of the API."""

    # What the schema has where a block says nothing and the service chooses nothing.
    DEFAULTS: ClassVar[dict[str, Any]] = {
        "Enabled": True,
        "BisectBatchOnFunctionError": False,
        "DestinationConfig": None,
        "FilterCriteria": None,
        "FunctionResponseTypes": [],
        "KMSKeyArn": "",
        "MaximumBatchingWindowInSeconds": 0,
        "MetricsConfig": None,
        "ProvisionedPollerConfig": None,
        "ScalingConfig": None,
        "SelfManagedEventSource": None,
        "SourceAccessConfigurations": [],
        "Topics": [],
        "TumblingWindowInSeconds": 0,
        "Tags": {},
    }
    # The service is asked to take these away by an empty block: it would keep what is left out.
    TAKEN_AWAY: ClassVar[dict[str, Any]] = {
        "FilterCriteria": {},
        "MetricsConfig": {},
        "ProvisionedPollerConfig": {},
        "ScalingConfig": {},
    }
    COMPUTED: ClassVar[tuple[str, ...]] = (
        *("BatchSize", "MaximumRecordAgeInSeconds", "MaximumRetryAttempts"),
        *("ParallelizationFactor", "StartingPosition"),
        *("SelfManagedKafkaEventSourceConfig", "AmazonManagedKafkaEventSourceConfig"),
    )

    def __init__(self, aws: Any) -> None:
        self.aws = aws
        self.uuid = ""

    def create(self, given: dict[str, Any]) -> dict[str, Any]:
        # Zero values are not sent, but for Enabled, and for retries, whose zero says something.
        sent = {
            name: value
            for name, value in given.items()
            if value or name in ("Enabled", "MaximumRetryAttempts")
        }
        made = self.aws.create_event_source_mapping(**{"Enabled": True, **sent})
        self.uuid = made["UUID"]
        self._until_settled()
        return self.read()

    def update(self, before: dict[str, Any], given: dict[str, Any]) -> dict[str, Any]:
        """What has changed, with its zero value where it is not there any more."""
        changed = {name for name in {*before, *given} if before.get(name) != given.get(name)}
        if "Tags" in changed:
            self._retag(before.get("Tags", {}), given.get("Tags", {}))
        sent = {
            name: given.get(name, self.TAKEN_AWAY.get(name, self.DEFAULTS.get(name)))
            for name in changed - {"Tags"}
        }
        sent = {name: value for name, value in sent.items() if value is not None}
        if sent:
            self._while_in_use(self.aws.update_event_source_mapping, **sent)
            self._until_settled()
        return self.read()

    def read(self) -> dict[str, Any]:
        found = self.aws.get_event_source_mapping(UUID=self.uuid)
        state = {name: found.get(name, default) for name, default in self.DEFAULTS.items()}
        state |= {name: found.get(name) for name in (*self.COMPUTED, "EventSourceArn")}
        state["Enabled"] = found["State"] in ("Enabled", "Enabling")
        # An empty block is none.
        state = {
            name: value if value != {"OnFailure": {}} else None for name, value in state.items()
        }
        state["FunctionName"] = found["FunctionArn"]
        state |= self._unordered(state)
        state["Tags"] = self.aws.list_tags(Resource=found["EventSourceMappingArn"])["Tags"]
        return state

    def delete(self) -> None:
        self._while_in_use(self.aws.delete_event_source_mapping)
        missing = self.aws.exceptions.ResourceNotFoundException
        while True:
            try:
                found = self.aws.get_event_source_mapping(UUID=self.uuid)
            except missing:
                return
            assert found["State"] == "Deleting", found

    def _while_in_use(self, call: Any, **sent: Any) -> None:
        while True:
            try:
                call(UUID=self.uuid, **sent)
            except self.aws.exceptions.ResourceInUseException:
                continue
            return

    @staticmethod
    def _unordered(block: dict[str, Any]) -> dict[str, Any]:
        """What is a set to the provider, or servers in whatever order, in one order."""
        access = block["SourceAccessConfigurations"]
        found: dict[str, Any] = {
            "SourceAccessConfigurations": sorted(access, key=lambda one: (one["Type"], one["URI"])),
            "Topics": sorted(block["Topics"]),
        }
        if block["SelfManagedEventSource"]:
            endpoints = block["SelfManagedEventSource"]["Endpoints"]
            ordered = {name: sorted(places) for name, places in endpoints.items()}
            found["SelfManagedEventSource"] = {"Endpoints": ordered}
        return found

    def _until_settled(self) -> None:
        while True:
            state = self.aws.get_event_source_mapping(UUID=self.uuid)["State"]
            if state in ("Enabled", "Disabled"):
                return
            assert state in ("Creating", "Disabling", "Enabling", "Updating"), state

    def _retag(self, before: dict[str, str], after: dict[str, str]) -> None:
        arn = self.aws.get_event_source_mapping(UUID=self.uuid)["EventSourceMappingArn"]
        gone = sorted(set(before) - set(after))
        if gone:
            self.aws.untag_resource(Resource=arn, TagKeys=gone)
        added = {key: value for key, value in after.items() if before.get(key) != value}
        if added:
            self.aws.tag_resource(Resource=arn, Tags=added)

    def plan(self, given: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
        """What Terraform would want to change: empty where the state is what the block says."""
        wanted = {**self.DEFAULTS, **given}
        wanted |= self._unordered(wanted)
        name = wanted.pop("FunctionName")  # a name, or an ARN: the same to the provider
        wanted["FunctionName"] = state["FunctionName"].removesuffix(name) + name
        return {key: (value, state[key]) for key, value in wanted.items() if value != state[key]}


def plan(given: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """What Terraform would want to change: empty where the state is what the block says."""
    wanted = {**DEFAULTS, **given}
    wanted.pop("ZipFile", None)
    wanted.pop("Publish", None)
    return {
        name: (value, state[name])
        for name, value in wanted.items()
        if not _same(value, state[name])
    }


def _same(wanted: Any, there: Any) -> bool:
    """Within a block, too, the service may fill in what was left out."""
    if isinstance(wanted, dict) and isinstance(there, dict) and set(wanted) < set(there):
        return all(there[name] == value for name, value in wanted.items())
    return bool(wanted == there)


def statement(aws: Any, name: str, sid: str) -> dict[str, Any] | None:
    """What aws_lambda_permission reads back: one statement of the function's policy."""
    try:
        policy = json.loads(aws.get_policy(FunctionName=name)["Policy"])
    except aws.exceptions.ResourceNotFoundException:
        return None
    return next((item for item in policy["Statement"] if item["Sid"] == sid), None)
