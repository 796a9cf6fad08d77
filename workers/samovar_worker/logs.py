"""`logging`, stdout and stderr as AWS's Python runtime sets them up, and how errors are logged."""

from __future__ import annotations

import io
import logging
import os
import select
import sys
import time
from typing import Any

from samovar_worker import json_logs
from samovar_worker.handler import Fault
from samovar_worker.pipes import write_record
from samovar_worker.wire.messages import LeftOpen

_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_DATE = "%Y-%m-%dT%H:%M:%S"
_INDENT = "\u00a0"
_WARNING = (
    "LAMBDA_WARNING: Unhandled exception. The most likely cause is an issue in the function code."
)
_SNAPSTART = "SAMOVAR_WARNING: SnapStart: the init left"


class _Request:
    id = ""


def set_request(request_id: str) -> None:
    """The id that log records carry from now on; empty during init."""
    _Request.id = request_id


class _RequestFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _Request.id
        record.tenant_id = None  # tenants are not carried out
        return True


class _OutputHandler(logging.Handler):
    """A record is one event, embedded newlines and all."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if not text.endswith("\n"):  # a traceback has none, nor may a formatter of the user's
                text += "\n"
            write_record(text.encode(errors="backslashreplace"))
        except Exception:
            self.handleError(record)


_handler = _OutputHandler()


class _Form:
    """How records look: AWS's text, or JSON."""

    json = False


def install() -> None:
    """Put the one handler on the root logger, and unbuffered streams on descriptors 1 and 2."""
    logging.Formatter.converter = time.gmtime
    _handler.setFormatter(logging.Formatter(_FORMAT, _DATE))
    _handler.addFilter(_RequestFilter())
    root = logging.getLogger()
    root.handlers[:] = [_handler]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # stays open on purpose
    sys.stdout = _stream(1)
    sys.stderr = _stream(2)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def configure() -> None:
    """The form and the level that the function's LoggingConfig asks for."""
    if os.environ.get("AWS_LAMBDA_LOG_FORMAT", "").upper() == "JSON":
        _Form.json = True
        _handler.setFormatter(json_logs.JsonFormatter())
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level)
    if level in logging.getLevelNamesMapping():  # others are no reason not to run (as on AWS)
        logging.getLogger().setLevel(level)


class _Descriptor(io.FileIO):
    """Straight to the descriptor, as `python -u` does: what was printed before a crash is seen.

    But whole: a signal or a pipe that was made non-blocking would cut what is longer than a pipe
    has room for.
    """

    def write(self, data: Any) -> int:
        written: int | None = super().write(data)
        if written != len(data):
            with memoryview(data).cast("B") as view:
                written = written or 0
                while written < len(view):
                    more: int | None = super().write(view[written:])
                    if more is None:
                        select.select([], [self], [])
                    written += more or 0
        return written

    def seekable(self) -> bool:
        return False  # FileIO remembers what the zygote's own descriptor was


def _stream(fd: int) -> io.TextIOWrapper:
    return io.TextIOWrapper(
        _Descriptor(fd, "w", closefd=False),
        encoding="utf-8",
        errors="backslashreplace",
        write_through=True,
    )


def flush() -> None:
    """Push out what sits in the streams, whatever the function made of them."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except Exception:  # noqa: S110  # a closed or replaced stream is the function's own affair
            pass


def log_error(fault: Fault, request_id: str) -> None:
    """An uncaught error, as one record: indentation becomes no-break spaces, as on AWS."""
    if _Form.json:
        write_record(json_logs.uncaught(fault, request_id) + b"\n")
        return
    message, stack = fault.message, fault.stack
    lines = [f"[ERROR] {fault.error_type}: {message}" if message else f"[ERROR] {fault.error_type}"]
    lines.append("Traceback (most recent call last):")
    for item in stack:
        for line in item.splitlines():
            bare = line.lstrip(" ")
            lines.append(_INDENT * (len(line) - len(bare)) + bare)
    write_record(("\n".join(lines) + "\n").encode(errors="backslashreplace"))


def log_failed_init() -> None:
    """The warning that comes before a failed init's error."""
    _warn(_WARNING)


def log_left_open(left: LeftOpen) -> None:
    """What contexts that are forked from this process don't have, or have together."""
    if left.threads:
        names = "; ".join(left.threads)
        _warn(f"{_SNAPSTART} threads, which do not run in what starts from it: {names}")
    if left.sockets:
        names = "; ".join(left.sockets)
        _warn(f"{_SNAPSTART} sockets, which all that starts from it shares: {names}")


def _warn(text: str) -> None:
    if _Form.json:
        if logging.getLogger().isEnabledFor(logging.WARNING):
            _handler.handle(
                logging.LogRecord("root", logging.WARNING, __file__, 0, text, None, None)
            )
        return
    now = time.time()
    stamp = time.strftime(_DATE, time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    write_record(f"[WARNING]\t{stamp}\t\t{text}\n".encode(errors="backslashreplace"))
