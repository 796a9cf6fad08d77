"""Finding a handler, and AWS's error objects for what goes wrong (reference 1.2)."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samovar_worker import handler
from samovar_worker.handler import Fault, fault_of, to_json

ID = "8f5c8b1e-6d2d-4f9e-9d3a-1f0f1e2d3c4b"
Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Iterator[Write]:
    """Puts a module where `load` finds it, and forgets it afterwards."""
    before = set(sys.modules)

    def put(path: str, source: str) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(source, encoding="utf-8")
        return file

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(tmp_path)
        patch.setattr(sys, "dont_write_bytecode", True)
        yield put
    for name in set(sys.modules) - before:
        del sys.modules[name]


def refusal(name: str) -> Fault:
    with pytest.raises(Fault) as caught:
        handler.load(name)
    return caught.value


def raised(call: Callable[[], Any]) -> BaseException:
    with pytest.raises(BaseException) as caught:
        call()
    return caught.value


# -- the handler string


def test_the_last_dot_parts_module_and_function(write: Write) -> None:
    write("found_one.py", "def fn(event, context): return 1\nclass Fn: pass\n")
    write("found/deeper/two.py", "def fn(event, context): return 2\n")
    write("found_package/__init__.py", "fn = 3\n")
    assert handler.load("found_one.fn")({}, None) == 1
    assert handler.load("found/deeper/two.fn")({}, None) == 2
    assert handler.load("found.deeper/two.fn") is handler.load("found/deeper.two.fn")
    assert handler.load("found_package.fn") == 3  # that it can't be called shows when it is


def test_what_a_module_makes_up_is_found(write: Write) -> None:
    write("made_up.py", "def __getattr__(name): return name\n")
    assert handler.load("made_up.anything") == "anything"


@pytest.mark.parametrize("name", ["handler", "", "a/b"])
def test_no_dot(name: str) -> None:
    fault = refusal(name)
    assert fault.error_type == "Runtime.MalformedHandlerName"
    assert fault.message == f"Bad handler '{name}': not enough values to unpack (expected 2, got 1)"
    assert fault.stack == []


@pytest.mark.parametrize(
    ("name", "module"), [("sys.exit", "sys"), ("time.sleep", "time"), ("sys/sub.fn", "sys.sub")]
)
def test_a_builtin_module(name: str, module: str) -> None:
    fault = refusal(name)
    assert fault.error_type == "Runtime.BuiltInModuleConflict"
    assert fault.message == f"Cannot use built-in module {module} as a handler module"
    assert fault.stack == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("nowhere.fn", "Unable to import module 'nowhere': No module named 'nowhere'"),
        ("no/where.fn", "Unable to import module 'no/where': No module named 'no'"),
        ("no.where.fn", "Unable to import module 'no.where': No module named 'no'"),
    ],
)
def test_no_such_module(name: str, text: str) -> None:
    fault = refusal(name)
    assert (fault.error_type, fault.message) == ("Runtime.ImportModuleError", text)
    assert fault.stack == []


def test_imports_that_fail_within_the_module(write: Write) -> None:
    write("imports_nothing.py", "import not_to_be_found\n")
    write("imports_a_name.py", "from json import not_in_there\n")
    write("raises_import_error.py", "raise ImportError('own words')\n")
    for name, text in (
        ("imports_nothing", "No module named 'not_to_be_found'"),
        ("raises_import_error", "own words"),
        ("imports_a_name", "cannot import name 'not_in_there' from 'json'"),
    ):
        fault = refusal(f"{name}.fn")
        assert fault.error_type == "Runtime.ImportModuleError"
        assert fault.message.startswith(f"Unable to import module '{name}': {text}")
        assert fault.stack == []


def test_no_such_function(write: Write) -> None:
    write("has_one.py", "def other(event, context): ...\n")
    write("has/one.py", "")
    for name in ("has_one", "has/one"):
        fault = refusal(f"{name}.fn")
        assert fault.error_type == "Runtime.HandlerNotFound"
        assert fault.message == f"Handler 'fn' missing on module '{name}'"
        assert fault.stack == []


def test_a_syntax_error(write: Write) -> None:
    file = write("wrong_syntax.py", "import os\n\nif True:\n    x = = 1\n")
    fault = refusal("wrong_syntax.fn")
    assert fault.error_type == "Runtime.UserCodeSyntaxError"
    assert fault.message == (
        "Syntax error in module 'wrong_syntax': invalid syntax (wrong_syntax.py, line 4)"
    )
    # The line is shown as it is, with its blanks and its end.
    assert fault.stack == [f'  File "{file}" Line 4\n        x = = 1\n']


def test_a_syntax_error_in_what_the_module_imports(write: Write) -> None:
    file = write("wrong_part.py", "def f(:\n")
    write("wrong_whole.py", "import wrong_part\n")
    fault = refusal("wrong_whole.fn")
    assert fault.error_type == "Runtime.UserCodeSyntaxError"
    assert fault.message == (
        "Syntax error in module 'wrong_whole': invalid syntax (wrong_part.py, line 1)"
    )
    assert fault.stack == [f'  File "{file}" Line 1\n    def f(:\n']


def test_what_else_an_import_raises_comes_through_with_importlibs_frames(write: Write) -> None:
    file = write("raises_value.py", "import json\nraise ValueError('not today')\n")
    error = raised(lambda: handler.load("raises_value.fn"))
    while error.__traceback__ and error.__traceback__.tb_frame.f_code.co_filename == __file__:
        error.__traceback__ = error.__traceback__.tb_next  # ours; the loop's are cut below
    fault = fault_of(error)
    assert (fault.error_type, fault.message) == ("ValueError", "not today")
    assert "/importlib/__init__.py" in fault.stack[0]
    assert "<frozen importlib._bootstrap>" in fault.stack[1]
    assert fault.stack[-1] == (
        f"  File \"{file}\", line 2, in <module>\n    raise ValueError('not today')\n"
    )


def test_system_exit_at_import_is_no_fault(write: Write) -> None:
    write("exits.py", "import sys\nsys.exit(4)\n")
    error = raised(lambda: handler.load("exits.fn"))
    assert isinstance(error, SystemExit)
    assert error.code == 4


# -- what an exception becomes


class CustomException(Exception):
    """A class whose bare name is reported."""

    class Inner(Exception):
        """One whose qualified name is longer."""


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")


class NoText(Exception):
    def __str__(self) -> Any:
        return 5  # noqa: PLE0307


@pytest.mark.parametrize(
    ("error", "kind", "text"),
    [
        (ValueError("x"), "ValueError", "x"),
        (CustomException("lück", 2), "CustomException", "('lück', 2)"),
        (CustomException.Inner(), "Inner", ""),
        (KeyError("k"), "KeyError", "'k'"),
        (OSError(2, "no", "/f"), "FileNotFoundError", "[Errno 2] no: '/f'"),
        (ExceptionGroup("two", [ValueError()]), "ExceptionGroup", "two (1 sub-exception)"),
        (Unprintable(), "Unprintable", "<unprintable Unprintable object>"),
        (NoText(), "NoText", "<unprintable NoText object>"),
        (GeneratorExit(), "GeneratorExit", ""),
    ],
    ids=repr,
)
def test_type_and_text(error: BaseException, kind: str, text: str) -> None:
    fault = fault_of(error)
    assert (fault.error_type, fault.message, fault.stack) == (kind, text, [])


def test_a_fault_stays_what_it_is() -> None:
    fault = Fault("Runtime.MarshalError", "text", ["line"])
    assert fault_of(fault) is fault
    assert str(fault) == "text"


def test_the_stack_in_awss_form(write: Write) -> None:
    """`traceback.format_list`, without the markers that newer Pythons put under a line."""
    source = (
        "def fn(event, context):\n"
        "    return [inner(event) for _ in range(1)][0]\n"
        "\n"
        "def inner(event):\n"
        "    return event['a']['b'] + 1\n"
    )
    file = write("stacks.py", source)
    function = handler.load("stacks.fn")
    error = raised(lambda: function({"a": {}}, None))
    fault = fault_of(error)
    assert (fault.error_type, fault.message) == ("KeyError", "'b'")
    frames = [frame for frame in fault.stack if "stacks.py" in frame]
    assert fault.stack[-len(frames) :] == frames
    assert frames[0] == (
        f'  File "{file}", line 2, in fn\n    return [inner(event) for _ in range(1)][0]\n'
    )
    assert frames[-1] == f"  File \"{file}\", line 5, in inner\n    return event['a']['b'] + 1\n"


def test_a_line_that_cant_be_read_has_no_text(write: Write) -> None:
    file = write("vanishes.py", "def fn(event, context):\n    raise ValueError\n")
    function = handler.load("vanishes.fn")
    file.unlink()
    fault = fault_of(raised(lambda: function({}, None)))
    assert fault.stack[-1] == f'  File "{file}", line 2, in fn\n'


def test_recursion_is_shortened(write: Write) -> None:
    write("recurses.py", "def fn(event, context):\n    return fn(event, context)\n")
    function = handler.load("recurses.fn")
    fault = fault_of(raised(lambda: function({}, None)))
    assert fault.error_type == "RecursionError"
    assert fault.message == "maximum recursion depth exceeded"
    text = "".join(fault.stack)
    assert text.count("recurses.py") == 3
    assert "  [Previous line repeated " in text


def test_frames_of_ours_in_front_are_cut_and_others_stay() -> None:
    """A function that calls back through the worker's own code keeps those frames."""
    error = raised(lambda: handler.load("nowhere.fn"))
    plain = ValueError("x").with_traceback(error.__traceback__)
    fault = fault_of(plain)
    assert len(fault.stack) == 3  # two of this file, and `load` behind them
    assert "/samovar_worker/handler.py" in fault.stack[2]
    trace = error.__traceback__
    assert trace is not None and trace.tb_next is not None
    fault = fault_of(ValueError("x").with_traceback(trace.tb_next.tb_next))
    assert fault.stack == []  # nothing but ours


# -- the error object


def test_keys_and_their_order() -> None:
    data = to_json(Fault("ValueError", 'a "b"\n', ["  one\n", "  two\n"]), ID)
    assert data == (
        b'{"errorMessage": "a \\"b\\"\\n", "errorType": "ValueError", '
        b'"requestId": "' + ID.encode() + b'", "stackTrace": ["  one\\n", "  two\\n"]}'
    )
    assert to_json(Fault("E", "", None), "") == (
        b'{"errorMessage": "", "errorType": "E", "requestId": "", "stackTrace": []}'
    )


def test_text_beyond_ascii_by_version() -> None:
    data = to_json(Fault("E", "lück ☕", []), "")
    assert data.isascii() is (sys.version_info < (3, 12))
    assert json.loads(data)["errorMessage"] == "lück ☕"


@given(st.text(st.characters(exclude_categories=[])), st.lists(st.text(max_size=5), max_size=3))
def test_any_text_can_be_reported(text: str, stack: list[str]) -> None:
    """Halves of surrogate pairs come from file names and from JSON, and have no UTF-8."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    assert json.loads(to_json(Fault("E", text, stack), ID).decode()) == {
        "errorMessage": whole,  # two halves side by side are one
        "errorType": "E",
        "requestId": ID,
        "stackTrace": stack,
    }
