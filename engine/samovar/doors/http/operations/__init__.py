"""The operations of the Lambda API that are carried out, by name.

Invoke is not among them: it has a path of its own (`samovar.doors.http.invoke`).
"""

from samovar.doors.http.operations import account, functions, permissions, tags
from samovar.doors.http.operations.table import Operation

OPERATIONS: dict[str, Operation] = {
    operation.name: operation
    for operation in (
        *functions.OPERATIONS,
        *permissions.OPERATIONS,
        *tags.OPERATIONS,
        *account.OPERATIONS,
    )
}
