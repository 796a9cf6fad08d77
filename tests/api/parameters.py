"""Which parameters of the operations that are carried out are carried out, and which refused.

Whoever finds a member of a newer API model missing here decides about it, here and in the
operation.
"""

from __future__ import annotations

from typing import Any

from tests.api.house import ARN

from samovar.doors.http.operations.rendering import ARCHITECTURE

# Structures of which some members are carried out: decided about member by member.
TAKEN_APART = frozenset(
    {
        "AllowedPublishers",
        "AmazonManagedKafkaEventSourceConfig",
        "Code",
        "CodeSigningPolicies",
        "Content",
        "DeadLetterConfig",
        "DestinationConfig",
        "DestinationConfig.OnFailure",
        "DestinationConfig.OnSuccess",
        "Environment",
        "EphemeralStorage",
        "FilterCriteria",
        "LoggingConfig",
        "MetricsConfig",
        "ProvisionedPollerConfig",
        "RoutingConfig",
        "ScalingConfig",
        "SelfManagedEventSource",
        "SelfManagedKafkaEventSourceConfig",
        "SnapStart",
    }
)

_KMS = "arn:aws:kms:us-east-1:000000000000:key/k"

_CONFIGURATION = {
    "FunctionName",
    "Role",
    "Handler",
    "Runtime",
    "Description",
    "Timeout",
    "MemorySize",
    "Environment.Variables",
    "EphemeralStorage.Size",
    "LoggingConfig.LogFormat",
    "LoggingConfig.ApplicationLogLevel",
    "LoggingConfig.SystemLogLevel",
    "LoggingConfig.LogGroup",
    "Layers",
    "SnapStart.ApplyOn",
    "DeadLetterConfig.TargetArn",
}
_LAYER_VERSION = {"LayerName", "VersionNumber"}
_LAYER_FILTERS = {"CompatibleRuntime", "CompatibleArchitecture", "Marker", "MaxItems"}

_SIGNING = {
    "Description",
    "AllowedPublishers.SigningProfileVersionArns",
    "CodeSigningPolicies.UntrustedArtifactOnDeployment",
}

_ALIAS = {"FunctionName", "Name"}
_WEIGHTS = "RoutingConfig.AdditionalVersionWeights"

_EVENT_INVOKE_CONFIG = {
    "FunctionName",
    "Qualifier",
    "MaximumRetryAttempts",
    "MaximumEventAgeInSeconds",
    "DestinationConfig.OnSuccess.Destination",
    "DestinationConfig.OnFailure.Destination",
}
_EVENT_SOURCE_MAPPING = {
    "FunctionName",
    "Enabled",
    "BatchSize",
    "MaximumBatchingWindowInSeconds",
    "FilterCriteria.Filters",
    "FunctionResponseTypes",
    "MetricsConfig.Metrics",
    "ScalingConfig.MaximumConcurrency",
    "ParallelizationFactor",
    "TumblingWindowInSeconds",
    "MaximumRetryAttempts",
    "MaximumRecordAgeInSeconds",
    "BisectBatchOnFunctionError",
    "DestinationConfig.OnFailure.Destination",
    "SourceAccessConfigurations",
    "AmazonManagedKafkaEventSourceConfig.ConsumerGroupId",
    "SelfManagedKafkaEventSourceConfig.ConsumerGroupId",
    "ProvisionedPollerConfig.MinimumPollers",
    "ProvisionedPollerConfig.MaximumPollers",
}
CARRIED: dict[str, set[str]] = {
    "CreateFunction": _CONFIGURATION
    | {
        "Code.ZipFile",
        "Code.S3Bucket",
        "Code.S3Key",
        "Code.S3ObjectVersion",
        "CodeSigningConfigArn",
        "Tags",
        "Publish",
    },
    "GetFunction": {"FunctionName", "Qualifier"},
    "GetFunctionConfiguration": {"FunctionName", "Qualifier"},
    "ListFunctions": {"FunctionVersion", "Marker", "MaxItems"},
    "ListVersionsByFunction": {"FunctionName", "Marker", "MaxItems"},
    "PublishVersion": {"FunctionName", "CodeSha256", "Description", "RevisionId"},
    "CreateAlias": {*_ALIAS, "FunctionVersion", "Description", _WEIGHTS},
    "GetAlias": _ALIAS,
    "ListAliases": {"FunctionName", "FunctionVersion", "Marker", "MaxItems"},
    "UpdateAlias": {*_ALIAS, "FunctionVersion", "Description", "RevisionId", _WEIGHTS},
    "DeleteAlias": _ALIAS,
    "UpdateFunctionCode": {
        "FunctionName",
        "ZipFile",
        "S3Bucket",
        "S3Key",
        "S3ObjectVersion",
        "DryRun",
        "RevisionId",
        "Publish",
    },
    "UpdateFunctionConfiguration": _CONFIGURATION | {"RevisionId"},
    "DeleteFunction": {"FunctionName", "Qualifier"},
    "Invoke": {
        "FunctionName",
        "InvocationType",
        "LogType",
        "ClientContext",
        "Payload",
        "Qualifier",
    },
    "InvokeWithResponseStream": {
        "FunctionName",
        "InvocationType",
        "LogType",
        "ClientContext",
        "Payload",
        "Qualifier",
    },
    "TagResource": {"Resource", "Tags"},
    "UntagResource": {"Resource", "TagKeys"},
    "ListTags": {"Resource"},
    "GetAccountSettings": set(),
    "CreateCodeSigningConfig": _SIGNING | {"Tags"},
    "GetCodeSigningConfig": {"CodeSigningConfigArn"},
    "UpdateCodeSigningConfig": _SIGNING | {"CodeSigningConfigArn"},
    "DeleteCodeSigningConfig": {"CodeSigningConfigArn"},
    "ListCodeSigningConfigs": {"Marker", "MaxItems"},
    "ListFunctionsByCodeSigningConfig": {"CodeSigningConfigArn", "Marker", "MaxItems"},
    "PutFunctionCodeSigningConfig": {"FunctionName", "CodeSigningConfigArn"},
    "GetFunctionCodeSigningConfig": {"FunctionName"},
    "DeleteFunctionCodeSigningConfig": {"FunctionName"},
    "AddPermission": {
        "FunctionName",
        "Qualifier",
        "StatementId",
        "Action",
        "Principal",
        "PrincipalOrgID",
        "SourceArn",
        "SourceAccount",
        "EventSourceToken",
        "FunctionUrlAuthType",
        "InvokedViaFunctionUrl",
        "RevisionId",
    },
    "GetRuntimeManagementConfig": {"FunctionName", "Qualifier"},
    "PutRuntimeManagementConfig": {
        "FunctionName",
        "Qualifier",
        "UpdateRuntimeOn",
        "RuntimeVersionArn",
    },
    "GetFunctionRecursionConfig": {"FunctionName"},
    "PutFunctionRecursionConfig": {"FunctionName", "RecursiveLoop"},
    "PutFunctionEventInvokeConfig": _EVENT_INVOKE_CONFIG,
    "UpdateFunctionEventInvokeConfig": _EVENT_INVOKE_CONFIG,
    "GetFunctionEventInvokeConfig": {"FunctionName", "Qualifier"},
    "DeleteFunctionEventInvokeConfig": {"FunctionName", "Qualifier"},
    "ListFunctionEventInvokeConfigs": {"FunctionName", "Marker", "MaxItems"},
    "CreateEventSourceMapping": _EVENT_SOURCE_MAPPING
    | {
        "EventSourceArn",
        "SelfManagedEventSource.Endpoints",
        "StartingPosition",
        "StartingPositionTimestamp",
        "Tags",
        "Topics",
    },
    "GetEventSourceMapping": {"UUID"},
    "ListEventSourceMappings": {"EventSourceArn", "FunctionName", "Marker", "MaxItems"},
    "UpdateEventSourceMapping": _EVENT_SOURCE_MAPPING | {"UUID"},
    "DeleteEventSourceMapping": {"UUID"},
    "PutProvisionedConcurrencyConfig": {
        "FunctionName",
        "Qualifier",
        "ProvisionedConcurrentExecutions",
    },
    "GetProvisionedConcurrencyConfig": {"FunctionName", "Qualifier"},
    "ListProvisionedConcurrencyConfigs": {"FunctionName", "Marker", "MaxItems"},
    "DeleteProvisionedConcurrencyConfig": {"FunctionName", "Qualifier"},
    "PutFunctionConcurrency": {"FunctionName", "ReservedConcurrentExecutions"},
    "GetFunctionConcurrency": {"FunctionName"},
    "DeleteFunctionConcurrency": {"FunctionName"},
    "GetPolicy": {"FunctionName", "Qualifier"},
    "RemovePermission": {"FunctionName", "Qualifier", "StatementId", "RevisionId"},
    "PublishLayerVersion": {
        "LayerName",
        "Description",
        "Content.ZipFile",
        "Content.S3Bucket",
        "Content.S3Key",
        "Content.S3ObjectVersion",
        "CompatibleRuntimes",
        "CompatibleArchitectures",
        "LicenseInfo",
    },
    "GetLayerVersion": _LAYER_VERSION,
    "GetLayerVersionByArn": {"Arn"},
    "ListLayers": _LAYER_FILTERS,
    "ListLayerVersions": _LAYER_FILTERS | {"LayerName"},
    "DeleteLayerVersion": _LAYER_VERSION,
    "AddLayerVersionPermission": _LAYER_VERSION
    | {"StatementId", "Action", "Principal", "OrganizationId", "RevisionId"},
    "GetLayerVersionPolicy": _LAYER_VERSION,
    "RemoveLayerVersionPermission": _LAYER_VERSION | {"StatementId", "RevisionId"},
}

_CONFIGURATION_REFUSED: dict[str, Any] = {
    "VpcConfig": {"SubnetIds": ["subnet-1"]},
    "KMSKeyArn": _KMS,
    "TracingConfig": {"Mode": "Active"},
    "FileSystemConfigs": [
        {
            "Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-" + "0" * 17,
            "LocalMountPath": "/mnt/files",
        }
    ],
    "ImageConfig": {"Command": ["run"]},
    "CapacityProviderConfig": {
        "LambdaManagedInstancesCapacityProviderConfig": {
            "CapacityProviderArn": ARN.replace("function:", "capacity-provider:") + "c"
        }
    },
    "DurableConfig": {"RetentionPeriodInDays": 3},
    "RuntimeConfig": {
        "RuntimeArn": "arn:aws:lambda:us-east-1:000000000000:runtime/python3.12",
        "RuntimeAlias": "latest",
    },
    "AcceleratorConfig": {"AcceleratorMemorySize": 1},
}
_CODE_REFUSED: dict[str, Any] = {
    "PublishTo": "LATEST_PUBLISHED",
    "Architectures": ["arm64" if ARCHITECTURE == "x86_64" else "x86_64"],
}

_SCHEMAS = {"SchemaRegistryURI": "https://registry.example", "EventRecordFormat": "JSON"}
_MAPPING_REFUSED: dict[str, Any] = {
    "KMSKeyArn": _KMS,
    "LoggingConfig.SystemLogLevel": "DEBUG",
    "DestinationConfig.OnSuccess.Destination": "arn:aws:sqs:us-east-1:000000000000:q",
    "AmazonManagedKafkaEventSourceConfig.SchemaRegistryConfig": _SCHEMAS,
    "SelfManagedKafkaEventSourceConfig.SchemaRegistryConfig": _SCHEMAS,
    "DocumentDBEventSourceConfig": {"DatabaseName": "d"},
    "ProvisionedPollerConfig.PollerGroupName": "g",
}

# With a value that the API model allows, and that asks for something.
REFUSED: dict[str, dict[str, Any]] = {
    "CreateFunction": {
        **_CONFIGURATION_REFUSED,
        **_CODE_REFUSED,
        "PackageType": "Image",
        "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
        "Code.ImageUri": "000000000000.dkr.ecr.us-east-1.amazonaws.com/i:1",
        "Code.SourceKMSKeyArn": _KMS,
        "Code.S3ObjectStorageMode": "REFERENCE",
    },
    "UpdateFunctionCode": {
        **_CODE_REFUSED,
        "ImageUri": "i",
        "SourceKMSKeyArn": _KMS,
        "S3ObjectStorageMode": "REFERENCE",
    },
    "UpdateFunctionConfiguration": _CONFIGURATION_REFUSED,
    "CreateEventSourceMapping": {
        **_MAPPING_REFUSED,
        "Queues": ["queue"],
    },
    "UpdateEventSourceMapping": _MAPPING_REFUSED,
    "ListFunctions": {"MasterRegion": "us-east-1"},
    "PublishVersion": {"PublishTo": "LATEST_PUBLISHED"},
    "PublishLayerVersion": {"Content.S3ObjectStorageMode": "REFERENCE"},
    "Invoke": {"DurableExecutionName": "once", "TenantId": "tenant"},
    "InvokeWithResponseStream": {"TenantId": "tenant"},
}

_CONFIGURATION_DEFAULTS: dict[str, list[Any]] = {
    "VpcConfig": [
        {},
        {"SubnetIds": [], "SecurityGroupIds": []},
        {"Ipv6AllowedForDualStack": False},
    ],
    "KMSKeyArn": [""],
    "TracingConfig": [{}, {"Mode": "PassThrough"}],
    "FileSystemConfigs": [[]],
    "ImageConfig": [{}, {"Command": [], "EntryPoint": []}],
}
_CODE_DEFAULTS: dict[str, list[Any]] = {"Architectures": [[ARCHITECTURE]]}

# Of refused parameters, the values that ask for what happens anyway.
DEFAULTS: dict[str, dict[str, list[Any]]] = {
    "CreateFunction": {
        **_CONFIGURATION_DEFAULTS,
        **_CODE_DEFAULTS,
        "PackageType": ["Zip"],
        "Code.S3ObjectStorageMode": ["COPY"],
    },
    "UpdateFunctionCode": {**_CODE_DEFAULTS, "S3ObjectStorageMode": ["COPY"]},
    "UpdateFunctionConfiguration": _CONFIGURATION_DEFAULTS,
    "ListFunctions": {"MasterRegion": ["ALL"]},
    "PublishLayerVersion": {"Content.S3ObjectStorageMode": ["COPY"]},
}
