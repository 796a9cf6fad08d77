"""Log records as JSON, in the form of AWS's Python runtime (awslambdaric 4)."""

from __future__ import annotations

import json
import logging
import time
import traceback
from typing import Any

from samovar_worker.handler import Fault, to_json

_DATE = "%Y-%m-%dT%H:%M:%SZ"
# What every record has and what has a field of its own: the rest came with `extra=`.
_OWN = frozenset(
    {
        *("name", "msg", "args", "levelname", "levelno", "pathname", "filename", "module"),
        *("exc_info", "exc_text", "stack_info", "lineno", "funcName", "created", "msecs"),
        *("relativeCreated", "thread", "threadName", "processName", "process"),
        *("aws_request_id", "tenant_id", "_frame_type"),
    }
)
# What JSON knows no form of becomes text: a record of the user's must not raise.
_encode = json.JSONEncoder(ensure_ascii=False, default=str).encode


class JsonFormatter(logging.Formatter):
    """One JSON object a record. Fields without a value are left out, the request id is not."""

    def __init__(self) -> None:
        super().__init__(datefmt=_DATE)

    def format(self, record: logging.LogRecord) -> str:
        record.levelno = min(50, max(0, record.levelno)) // 10 * 10
        record.levelname = logging.getLevelName(record.levelno)
        kept_whole = isinstance(record.msg, dict) and not record.args
        kind = error = trace = location = None
        if record.exc_info:
            kind, error, trace = record.exc_info
            location = f"{record.pathname}:{record.funcName}:{record.lineno}"
        fields: dict[str, Any] = {
            "timestamp": self.formatTime(record, self.datefmt),
            "level": record.levelname,
            "message": record.msg if kept_whole else record.getMessage(),
            "logger": record.name,
            "stackTrace": traceback.format_tb(trace) if record.exc_info else None,
            "errorType": kind.__name__ if kind is not None else None,
            "errorMessage": str(error) if record.exc_info else None,
            "requestId": getattr(record, "aws_request_id", None),
            "location": location,
        }
        tenant = getattr(record, "tenant_id", None)
        if tenant is not None:
            fields["tenantId"] = tenant
        for name, value in record.__dict__.items():
            if name not in _OWN and name not in fields:
                fields[name] = value
        return _encode({name: value for name, value in fields.items() if value is not None}) + "\n"


def uncaught(fault: Fault, request_id: str) -> bytes:
    """The record of an uncaught error: the error object, behind a time and a level."""
    stamp = time.strftime(_DATE, time.gmtime())
    error = to_json(fault, request_id)
    return f'{{"timestamp": "{stamp}", "log_level": "ERROR", '.encode() + error[1:]
