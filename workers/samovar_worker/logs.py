"""`logging`, stdout and stderr as AWS's Python runtime sets them up, and how errors are logged."""

from __future__ import annotations

import io
import logging
import os
import sys
import time

from samovar_worker.pipes import write_output

_FORMAT = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s\n"
_DATE = "%Y-%m-%dT%H:%M:%S"
_INDENT = "\u00a0"


class _Request:
    id = ""


def set_request(request_id: str) -> None:
    """The id that log records carry from now on; empty during init."""
    _Request.id = request_id


class _RequestFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        record.aws_request_id = _Request.id
        return True


class _OutputHandler(logging.Handler):
    """A record is one write, embedded newlines and all."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
            if not text.endswith("\n"):  # a traceback has none, nor may a formatter of the user's
                text += "\n"
            write_output(text.encode(errors="backslashreplace"))
        except Exception:
            self.handleError(record)


def install() -> None:
    """Put the one handler on the root logger, and unbuffered streams on descriptors 1 and 2."""
    logging.Formatter.converter = time.gmtime
    handler = _OutputHandler()
    handler.setFormatter(logging.Formatter(_FORMAT, _DATE))
    handler.addFilter(_RequestFilter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115  # stays open on purpose
    sys.stdout = _stream(1)
    sys.stderr = _stream(2)
    for name in ("stdin", "stdout", "stderr"):
        setattr(sys, f"__{name}__", getattr(sys, name))


def set_level() -> None:
    """The level that the function's LoggingConfig asks for."""
    level = os.environ.get("AWS_LAMBDA_LOG_LEVEL", "").upper()
    level = {"TRACE": "DEBUG", "FATAL": "CRITICAL"}.get(level, level)
    if level in logging.getLevelNamesMapping():  # others are no reason not to run (as on AWS)
        logging.getLogger().setLevel(level)


def _stream(fd: int) -> io.TextIOWrapper:
    # Straight to the descriptor, as `python -u` does: what was printed before a crash is seen.
    raw = io.FileIO(fd, "w", closefd=False)
    return io.TextIOWrapper(
        raw,
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


def log_error(error_type: str, message: str, stack: list[str] | None) -> None:
    """An uncaught error, as one record: indentation becomes no-break spaces, as on AWS."""
    head = f"[ERROR] {error_type}: {message}" if message else f"[ERROR] {error_type}"
    lines = [head]
    if stack is not None:
        lines.append("Traceback (most recent call last):")
        for item in stack:
            for line in item.splitlines():
                bare = line.lstrip(" ")
                lines.append(_INDENT * (len(line) - len(bare)) + bare)
    write_output(("\n".join(lines) + "\n").encode(errors="backslashreplace"))


def log_failed_init() -> None:
    """The warning that comes before a failed init's error."""
    now = time.time()
    stamp = time.strftime(_DATE, time.gmtime(now)) + f".{int(now % 1 * 1000):03d}Z"
    write_output(
        f"[WARNING]\t{stamp}\t\tLAMBDA_WARNING: Unhandled exception. "
        "The most likely cause is an issue in the function code.\n".encode()
    )
