"""The account's limits and what of them is used."""

from __future__ import annotations

from typing import Any

from samovar.doors.http.operations.table import Call, Operation
from samovar.model import limits


async def _settings(call: Call) -> dict[str, Any]:
    usage = call.engine.registry.account_usage()
    concurrency = call.engine.registry.concurrency
    return {
        "AccountLimit": {
            "TotalCodeSize": limits.CODE_STORAGE_SIZE,
            "CodeSizeUnzipped": limits.UNZIPPED_SIZE,
            "CodeSizeZipped": limits.ZIPPED_INLINE_SIZE,
            "ConcurrentExecutions": concurrency.account.limit,
            "UnreservedConcurrentExecutions": concurrency.unreserved(),
        },
        "AccountUsage": {
            "TotalCodeSize": usage.total_code_size,
            "FunctionCount": usage.function_count,
        },
    }


OPERATIONS = (Operation(_settings, frozenset(), "GetAccountSettings"),)
