"""AWS's quotas, by name. Sizes are bytes unless the name says MB; times are seconds.

Source: the Lambda developer guide's page of quotas and the service model's constraints, 2026;
numbers that come from recorded error texts say so.
"""

from __future__ import annotations

# Names and references (service model, recorded replies).
FUNCTION_NAME_LENGTH = 64
QUALIFIER_LENGTH = 128
UNQUALIFIED_REFERENCE_LENGTH = 140  # CreateFunction and others that address the function alone
QUALIFIED_REFERENCE_LENGTH = 256  # Invoke, GetFunction and others that take a qualifier

# Configuration (quotas page; the model's wider ranges are for managed instances).
MEMORY_MB = (128, 10240)
TIMEOUT = (1, 900)
EPHEMERAL_STORAGE_MB = (512, 10240)
DESCRIPTION_LENGTH = 256
HANDLER_LENGTH = 128
LOG_GROUP_LENGTH = 512
ROLE_LENGTH = 10000
ENVIRONMENT_SIZE = 4096  # of the variables as compact JSON

# Deployment packages (quotas page; the exact numbers stand in the error texts).
ZIPPED_INLINE_SIZE = 52428800
UNZIPPED_SIZE = 262144000
CODE_STORAGE_SIZE = 80530636800

# Layers (quotas page; lists and runtimes: the service model).
LAYERS = 5
LAYER_LIST_PAGE = 50
LICENSE_LENGTH = 512

# Requests and replies (recorded error texts).
DEPLOY_REQUEST_SIZE = 70167211
SYNC_PAYLOAD_SIZE = 6291456
ASYNC_PAYLOAD_SIZE = 1048576
INVOKE_ASYNC_SIZE = 262144  # of the deprecated operation (developer guide: 256 KB)
RESPONSE_PAYLOAD_SIZE = 6291556
WINDOW_STATE_SIZE = 1048576  # of a tumbling window, for each shard
CLIENT_CONTEXT_SIZE = 3583
LOG_TAIL_SIZE = 4096

# Tags (quotas page; keys and values: the tagging guide).
TAGS = 50
TAG_KEY_LENGTH = 128
TAG_VALUE_LENGTH = 256

# Lists (service model; the service returns at most 50 whatever MaxItems says).
LIST_MAX_ITEMS = 10000
LIST_PAGE = 50

# Resource policies (quotas page: 20 KB; the number stands in the error text).
POLICY_SIZE = 20480

# Filters of an event source mapping (developer guide; the pattern's length: the service model).
FILTERS = 10  # as the quota may be raised to; 5 unless it was
FILTER_PATTERN_LENGTH = 4096
