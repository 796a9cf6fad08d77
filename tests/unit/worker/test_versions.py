"""What differs from one Python to the next: the worker's pure parts, under each one here."""

from __future__ import annotations

import sys
from typing import Any

from tests.unit import interpreters

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

CHECK = r"""
import collections, importlib, math, os, pathlib
from decimal import Decimal
from samovar_worker import handler, lambda_context, marshal
from samovar_worker.wire import event_json
marshal.runtime_paths[:] = [sys.argv[2]]
from samovar_worker.handler import Fault

directory = pathlib.Path(given["directory"])
sys.path.insert(0, str(directory))

def refusal(call, *arguments):
    try:
        call(*arguments)
    except Fault as fault:
        return [fault.error_type, fault.message, fault.stack]
    except event_json.InvalidEvent as error:
        return str(error).splitlines()[0]

Point = collections.namedtuple("Point", "x y")
facts["version"] = list(sys.version_info[:2])

facts["results"] = [marshal.dump_result(result).decode() for result in (
    {"k": "Käthe ☕"}, {"k": "Käthe", "d": Decimal("1.50")}, Point("é", b"b"), [math.nan, math.inf],
    collections.OrderedDict(a=1), b"raw",
)]
deep = None
for _ in range(200_000):
    deep = [deep]
facts["refused results"] = [refusal(marshal.dump_result, result) for result in (
    {1}, {"d": Decimal(1), "s": {1}}, {(1,): 1}, deep,
)]
while deep:
    (deep,) = deep
facts["after"] = marshal.dump_result({"a": [1, "x"]}).decode()

depths = {}
for depth in (500, 950, 1000, 1001, 100_000):
    for opening, closing in ("[]", ("{\"a\":", "}")):
        text = (opening * depth + "1" + closing * depth).encode()
        depths[f"{opening}{depth}"] = refusal(event_json.load_event, text)
facts["depths"] = depths
facts["events"] = [event_json.load_event(text) for text in (
    b"", b" {} ", b'{"a": 1, "a": 2}', b'"\\ud83d\\ude00"', "[\"Käthe\"]".encode(), b"-0.0",
)]
facts["no events"] = [refusal(event_json.load_event, text) for text in (
    b"x", b"[NaN]", b'"\x87', b"\xc2\x99", b"[1,]", b'{"a":1,}', b"{a:1}", b"{\"a\" 1}", b"[1 2]",
    b'"a', b"9" * 5000,
)]

(directory / "app.py").write_text("def handler(event, context):\n    return event['a']['b'] + 1\n")
(directory / "syntax.py").write_text("\ndef f(:\n    pass\n")
(directory / "fails.py").write_text("raise ValueError('at import')\n")
facts["loading"] = [refusal(handler.load, name) for name in (
    "syntax.f", "nowhere.f", "no/where.f", "app.missing", "app", "sys.exit", "_io.open",
)]

def fault_of(call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        error.__traceback__ = error.__traceback__.tb_next  # this frame; the worker's are cut
        return handler.fault_of(error)

fault = fault_of(handler.load("app.handler"), {"a": {}}, None)
facts["raised"] = [fault.error_type, fault.message, fault.stack]
facts["json"] = handler.to_json(fault, "the-id").decode()
facts["text"] = handler.to_json(Fault("E", "Käthe \ud800"), "").decode()
fault = fault_of(handler.load, "fails.f")
facts["import"] = [fault.error_type, fault.message, fault.stack]

try:
    lambda_context.LambdaContext("id", 0, "arn", '{"a":' * 600)
except ValueError as error:
    facts["client context"] = str(error)
"""


def expected(directory: str, ascii_only: bool) -> dict[str, Any]:
    too_deep = (
        "Document nesting depth (1001) exceeds the maximum allowed (1000, from "
        "`StreamReadConstraints.getMaxNestingDepth()`)"
    )
    kaethe = "K\\u00e4the" if ascii_only else "Käthe"
    cup = "\\u2615" if ascii_only else "☕"
    e = "\\u00e9" if ascii_only else "é"
    frame = f"  File \"{directory}/app.py\", line 2, in handler\n    return event['a']['b'] + 1\n"
    marshal = "Runtime.MarshalError"
    tokens = (
        "expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or "
        "'false')"
    )
    return {
        "results": [
            f'{{"k": "{kaethe} {cup}"}}',
            f'{{"k": "{kaethe}", "d": 1.50}}',
            f'{{"x": "{e}", "y": "b"}}',
            "[NaN, Infinity]",
            '{"a": 1}',
            "raw",
        ],
        "after": '{"a": [1, "x"]}',
        "refused results": [
            [marshal, f"Unable to marshal response: {text}", []]
            for text in (
                "Object of type set is not JSON serializable",
                "Object of type set is not JSON serializable",
                "keys must be str, int, float, bool or None, not tuple",
            )
        ],
        "depths": {
            f"{opening}{depth}": too_deep if depth > 1000 else None
            for depth in (500, 950, 1000, 1001, 100_000)
            for opening in ("[", '{"a":')
        },
        "events": [{}, {}, {"a": 2}, "\U0001f600", ["Käthe"], -0.0],
        "no events": [
            f"Unexpected character ('x' (code 120)): {tokens}",
            "Unrecognized token 'NaN': was expecting"
            + tokens.removeprefix("expected a valid value"),
            "Invalid UTF-8 start byte 0x87",
            f"Unexpected character ((CTRL-CHAR, code 153)): {tokens}",
            "Unexpected character",
            "Unexpected character",
            f"Unexpected character ('a' (code 97)): {tokens}",
            f"Unexpected character ('1' (code 49)): {tokens}",
            f"Unexpected character ('2' (code 50)): {tokens}",
            "Unexpected end-of-input",
            "Exceeds the limit",
        ],
        "loading": [
            [
                "Runtime.UserCodeSyntaxError",
                "Syntax error in module 'syntax': invalid syntax (syntax.py, line 2)",
                [f'  File "{directory}/syntax.py" Line 2\n    def f(:\n'],
            ],
            [
                "Runtime.ImportModuleError",
                "Unable to import module 'nowhere': No module named 'nowhere'",
                [],
            ],
            [
                "Runtime.ImportModuleError",
                "Unable to import module 'no/where': No module named 'no'",
                [],
            ],
            ["Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'", []],
            [
                "Runtime.MalformedHandlerName",
                "Bad handler 'app': not enough values to unpack (expected 2, got 1)",
                [],
            ],
            *(
                [
                    "Runtime.BuiltInModuleConflict",
                    f"Cannot use built-in module {name} as a handler module",
                    [],
                ]
                for name in ("sys", "_io")
            ),
        ],
        "raised": ["KeyError", "'b'", [frame]],
        "text": f'{{"errorMessage": "{kaethe} \\ud800", "errorType": "E", "requestId": "", '
        '"stackTrace": []}',
    }


def check(facts: dict[str, Any], wanted: dict[str, Any]) -> None:
    # Which comma or bracket the text is about is Python's affair, and changed in 3.13.
    for at in (4, 5, 10):
        text = wanted["no events"][at]
        assert facts["no events"][at].startswith(text)
        facts["no events"][at] = text
    kind, text, stack = facts["refused results"].pop()
    assert (kind, stack) == ("Runtime.MarshalError", [])
    assert "recursion" in text
    kind, text, stack = facts.pop("import")
    assert (kind, text) == ("ValueError", "at import")
    assert "/importlib/__init__.py" in stack[0]
    assert "fails.py" in stack[-1]
    assert facts.pop("json").startswith('{"errorMessage": "\'b\'", "errorType": "KeyError", "req')
    assert facts.pop("client context")
    assert facts == wanted


def test_under_every_interpreter(
    premises: Premises, interpreters_found: tuple[Interpreter, ...], tmp_path: Any
) -> None:
    assert interpreters_found
    for interpreter in interpreters_found:
        directory = tmp_path / interpreter.runtime
        directory.mkdir()
        facts = interpreters.run(
            interpreter.executable, premises, CHECK, {"directory": str(directory)}
        )
        version = facts.pop("version")
        assert interpreter.runtime == "python{}.{}".format(*version)
        check(facts, expected(str(directory), ascii_only=tuple(version) < (3, 12)))


def test_the_running_interpreter_is_one_of_them(
    interpreters_found: tuple[Interpreter, ...],
) -> None:
    running = "python{}.{}".format(*sys.version_info)
    assert running in {interpreter.runtime for interpreter in interpreters_found}
