"""Find the handler, and turn what goes wrong into AWS's error objects."""

from __future__ import annotations

import importlib
import sys
import traceback
from collections.abc import Callable
from json.encoder import encode_basestring, encode_basestring_ascii
from types import TracebackType
from typing import Any

_OWN_DIRECTORY = __file__.rpartition("/")[0] + "/"
_quoted = encode_basestring_ascii if sys.version_info < (3, 12) else encode_basestring


class Fault(Exception):
    """An error with a name of AWS's; `stack` is what `stackTrace` shows."""

    def __init__(self, error_type: str, message: str, stack: list[str] | None = None) -> None:
        super().__init__(message)
        self.error_type = error_type
        self.message = message
        self.stack = stack if stack is not None else []


def load(handler: str) -> Callable[[Any, Any], Any]:
    """Import the module of `handler` («a/b.c.fn»: split at the last dot) and find the function.

    Raises Fault for the failures that have a name; whatever else the module raises comes through.
    """
    try:
        path, function = handler.rsplit(".", 1)
    except ValueError as error:
        raise Fault("Runtime.MalformedHandlerName", f"Bad handler '{handler}': {error}") from None
    name = path.replace("/", ".")
    if name.split(".")[0] in sys.builtin_module_names:
        raise Fault(
            "Runtime.BuiltInModuleConflict",
            f"Cannot use built-in module {name} as a handler module",
        )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise Fault(
            "Runtime.ImportModuleError", f"Unable to import module '{path}': {error}"
        ) from None
    except SyntaxError as error:
        # The line as it is, with the newline that it ends with.
        where = f'  File "{error.filename}" Line {error.lineno}\n    {error.text or ""}'
        raise Fault(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{path}': {error}", [where]
        ) from None
    try:
        found: Callable[[Any, Any], Any] = getattr(module, function)
    except AttributeError:
        raise Fault(
            "Runtime.HandlerNotFound", f"Handler '{function}' missing on module '{path}'"
        ) from None
    return found


def fault_of(error: BaseException) -> Fault:
    """The error as AWS reports it: the bare class name, `str(error)`, the function's frames."""
    if isinstance(error, Fault):
        return error
    try:
        message = str(error)
    except Exception:
        message = f"<unprintable {type(error).__name__} object>"
    try:
        # Plain tuples: AWS's stack traces have no markers under the part of a line that failed.
        frames = [
            (frame.filename, frame.lineno or 0, frame.name, frame.line)
            for frame in traceback.extract_tb(_without_own_frames(error.__traceback__))
        ]
        stack = traceback.format_list(frames)
    except Exception:  # it reads the source, by way of what the function may have replaced
        stack = []
    return Fault(type(error).__name__, message, stack)


def _without_own_frames(trace: TracebackType | None) -> TracebackType | None:
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_OWN_DIRECTORY):
        trace = trace.tb_next
    return trace


def to_json(fault: Fault, request_id: str) -> bytes:
    """AWS's error object, keys in its order; without `json`, in which functions replace things."""
    stack = ", ".join(map(_quoted, fault.stack))
    return (
        f'{{"errorMessage": {_quoted(fault.message)}, "errorType": {_quoted(fault.error_type)}, '
        f'"requestId": {_quoted(request_id)}, "stackTrace": [{stack}]}}'
    ).encode(errors="backslashreplace")
