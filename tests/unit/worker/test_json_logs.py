"""Records as JSON, as AWS's Python runtime prints them (reference 2.4): under every interpreter."""

from __future__ import annotations

import json
import re
from typing import Any

from tests.unit.worker.test_logs import run

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LAMBDA_LOG_LEVEL": "INFO"}

RECORDS = """
logs.configure()
logging.warning("before %s", "any")
logs.set_request("the-id")
logging.basicConfig(level=logging.DEBUG, format="nothing of %(message)s")
logging.debug("not shown")
logging.info("two\\nlines")
log = logging.getLogger("a.b")
log.critical("Käthe \\ud800", extra={"number": 1.5, "none": None, "nested": {"a": [1]}})
log.warning({"a": 1})
log.warning("%(a)s", {"a": 1})
log.error("extras", extra={"odd": object, "logger": "no", "requestId": "no", "stackTrace": "no",
          "errorType": "no", "location": "no", "timestamp": "no", "level": "no", "tenant_id": "t"})
log.log(33, "between levels")
log.log(5, "below")
log.setLevel(1)
log.log(5, "nothing")
try:
    {}["k"]
except KeyError:
    log.exception("failed", extra={"e": 1})
logging.error("last")
facts["records"] = events()
"""


def parsed(record: str) -> dict[str, Any]:
    """The fields, with what differs from run to run replaced."""
    assert record.endswith("\n")
    assert record.count("\n") == 1
    fields: dict[str, Any] = json.loads(record)
    assert re.fullmatch(STAMP, fields["timestamp"])
    del fields["timestamp"]
    return fields


def test_records(premises: Premises, interpreters_found: tuple[Interpreter, ...]) -> None:
    common = {"level": "WARNING", "logger": "a.b", "requestId": "the-id"}
    for interpreter in interpreters_found:
        records = run(premises, RECORDS, interpreter.executable, **JSON)["records"]
        *plain, failed, last = records
        assert [parsed(record) for record in plain] == [
            {"level": "WARNING", "message": "before any", "logger": "root", "requestId": ""},
            {"level": "INFO", "message": "two\nlines", "logger": "root", "requestId": "the-id"},
            {
                **(common | {"level": "CRITICAL"}),
                "message": "Käthe \ud800",
                "number": 1.5,
                "nested": {"a": [1]},
            },
            {**common, "message": {"a": 1}},
            {**common, "message": "1"},
            {
                **(common | {"level": "ERROR"}),
                "message": "extras",
                "odd": "<class 'object'>",
            },
            {**common, "message": "between levels"},
            {**(common | {"level": "NOTSET"}), "message": "nothing"},
        ], interpreter
        assert "Käthe" in plain[2]  # and not as an escape
        fields = json.loads(failed)
        # In this order, which people see.
        assert list(fields) == [
            *("timestamp", "level", "message", "logger", "stackTrace", "errorType"),
            *("errorMessage", "requestId", "location", "e"),
        ]
        assert (fields["errorType"], fields["errorMessage"]) == ("KeyError", "'k'")
        (frame,) = fields["stackTrace"]
        assert re.match(r'  File "<string>", line \d+, in <module>\n', frame)
        assert re.fullmatch(r"<string>:<module>:\d+", fields["location"])
        assert list(parsed(last)) == ["level", "message", "logger", "requestId"]


ERRORS = """
logs.configure()
frame = '  File "/var/task/h.py", line 2, in f\\n    g()\\n'
logs.log_failed_init()
logs.log_error(Fault("ValueError", "two\\nlines", [frame]), "")
logs.log_error(Fault("Runtime.MarshalError", "Käthe"), "the-id")
facts["errors"] = events()
logging.getLogger().setLevel("ERROR")
logs.log_failed_init()
facts["filtered"] = events()
"""


def test_uncaught_errors(premises: Premises) -> None:
    facts = run(premises, ERRORS, **JSON)
    warning, first, second = facts["errors"]
    assert parsed(warning) == {
        "level": "WARNING",
        "message": "LAMBDA_WARNING: Unhandled exception. "
        "The most likely cause is an issue in the function code.",
        "logger": "root",
        "requestId": "",
    }
    assert list(json.loads(first)) == [
        *("timestamp", "log_level", "errorMessage", "errorType", "requestId", "stackTrace"),
    ]
    assert parsed(first) == {
        "log_level": "ERROR",
        "errorMessage": "two\nlines",
        "errorType": "ValueError",
        "requestId": "",
        "stackTrace": ['  File "/var/task/h.py", line 2, in f\n    g()\n'],
    }
    assert parsed(second) == {
        "log_level": "ERROR",
        "errorMessage": "Käthe",
        "errorType": "Runtime.MarshalError",
        "requestId": "the-id",
        "stackTrace": [],
    }
    assert facts["filtered"] == []


def test_the_format_variable(premises: Premises) -> None:
    source = """
logs.configure()
logging.warning("x")
facts["json"] = events()[0].startswith("{")
"""
    for value, is_json in (("JSON", True), ("json", True), ("Text", False), ("", False)):
        assert run(premises, source, AWS_LAMBDA_LOG_FORMAT=value) == {"json": is_json}
