"""The operations of the Lambda API that are carried out, by name.

Invoke and InvokeWithResponseStream are not among them: they have paths of their own
(`samovar.doors.http.invoke`, `stream`).
"""

from samovar.doors.http.operations import (
    account,
    aliases,
    code_signing,
    concurrency,
    event_invoke,
    event_source_mappings,
    function_settings,
    functions,
    invoke_async,
    layers,
    permissions,
    provisioned,
    tags,
    versions,
)
from samovar.doors.http.operations.table import Operation

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *functions.OPERATIONS,
        *versions.OPERATIONS,
        *aliases.OPERATIONS,
        *layers.OPERATIONS,
        *permissions.OPERATIONS,
        *code_signing.OPERATIONS,
        *function_settings.OPERATIONS,
        *concurrency.OPERATIONS,
        *provisioned.OPERATIONS,
        *event_invoke.OPERATIONS,
        *event_source_mappings.OPERATIONS,
        *tags.OPERATIONS,
        *invoke_async.OPERATIONS,
        *account.OPERATIONS,
    )
}
