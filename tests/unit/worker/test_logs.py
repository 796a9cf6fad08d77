"""Logging, stdout and stderr, and how errors are logged (reference 2.4): in a process of its own,
under every interpreter here, because it changes what the whole process does."""

from __future__ import annotations

import calendar
import re
import sys
import time
from typing import Any

import pytest
from tests.unit import interpreters

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

NBSP = "\u00a0"
STAMP = r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\.(\d{3})Z"

# The output is a socket that keeps writes apart, so that a record that takes two is seen.
BEGIN = """
import os, socket
from samovar_worker import logs, pipes
answer = os.dup(1)
inside, outside = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
for fd in (1, 2, pipes.OUTPUT):
    os.dup2(inside.fileno(), fd)
null = os.open(os.devnull, os.O_RDONLY)
os.dup2(null, 0)

def packets():
    outside.setblocking(False)
    found = []
    while True:
        try:
            found.append(outside.recv(1 << 16))
        except BlockingIOError:
            return found

def written():
    return [packet.decode() for packet in packets()]

import logging
from samovar_worker.handler import Fault
from samovar_worker.wire.records import Deframer

def events():
    # What was written, as whole records; anything raw would fail.
    frames = Deframer()
    found = [part for packet in packets() for part in frames.feed(packet)]
    assert all(is_record for is_record, _ in found), found
    return [data.decode() for _, data in found]

logging.getLogger().addHandler(logging.StreamHandler())  # of something preloaded, say
logs.install()
"""
END = """
os.dup2(answer, 1)
"""


def run(
    premises: Premises, source: str, executable: str = sys.executable, **environment: str
) -> Any:
    script = BEGIN + source + END
    # Not UTC, and not what install() has to take for granted.
    surroundings = {"TZ": "America/New_York", "LC_ALL": "C", **environment}
    return interpreters.run(executable, premises, script, None, surroundings)


RECORDS = """
root = logging.getLogger()
logging.warning("before %s", "any")
logs.set_request("the-id")
logging.basicConfig(level=logging.DEBUG, format="nothing of %(message)s")
logging.info("not shown")
logging.error("two\\nlines\\n")
logging.getLogger("a.b").critical("Käthe \\ud800")
root.setLevel("DEBUG")
logging.debug("now shown")
facts["records"] = events()

try:
    {}["k"]
except KeyError:
    logging.exception("failed")
logging.warning("next")
facts["traceback"] = events()

root.handlers[0].setFormatter(logging.Formatter("%(levelname)s %(message)s"))
logging.warning("own format")
root.handlers[0].setFormatter(logging.Formatter("%(aws_request_id)s %(message)s\\n"))
logging.warning("own end")
facts["formats"] = events()

logging.warning("%d", "no number")
facts["wrong"] = "".join(written())
facts["handlers"] = len(root.handlers)
"""


def check_stamp(line: str, before: float) -> str:
    """The line with its time, which must be UTC and now, replaced."""
    match = re.search(STAMP, line)
    assert match, line
    seconds = calendar.timegm(time.strptime(match[1], "%Y-%m-%dT%H:%M:%S"))
    assert before - 1 < seconds + int(match[2]) / 1000 < time.time() + 1
    return line.replace(match[0], "NOW")


def test_records(premises: Premises, interpreters_found: tuple[Interpreter, ...]) -> None:
    for interpreter in interpreters_found:
        before = time.time()
        facts = run(premises, RECORDS, interpreter.executable)
        assert [check_stamp(record, before) for record in facts["records"]] == [
            "[WARNING]\tNOW\t\tbefore any\n",
            "[ERROR]\tNOW\tthe-id\ttwo\nlines\n\n",
            "[CRITICAL]\tNOW\tthe-id\tKäthe \\ud800\n",
            "[DEBUG]\tNOW\tthe-id\tnow shown\n",
        ], interpreter
        failed, following = facts["traceback"]
        lines = check_stamp(failed, before).split("\n")
        assert lines[0] == "[ERROR]\tNOW\tthe-id\tfailed"
        assert lines[1] == "Traceback (most recent call last):"
        assert lines[-2:] == ["KeyError: 'k'", ""]
        assert check_stamp(following, before) == "[WARNING]\tNOW\tthe-id\tnext\n"
        assert facts["formats"] == ["WARNING own format\n", "the-id own end\n"]
        assert "--- Logging error ---" in facts["wrong"]
        assert facts["handlers"] == 1


@pytest.mark.parametrize(
    ("level", "effective"),
    [
        (None, "WARNING"),
        ("", "WARNING"),
        ("TRACE", "DEBUG"),
        ("DEBUG", "DEBUG"),
        ("INFO", "INFO"),
        ("WARN", "WARNING"),
        ("ERROR", "ERROR"),
        ("FATAL", "CRITICAL"),
        ("info", "INFO"),
        ("10", "WARNING"),
        ("verbose", "WARNING"),  # a function may set it to anything: it must start all the same
    ],
)
def test_the_level_variable(premises: Premises, level: str | None, effective: str) -> None:
    source = """
logs.configure()
facts["level"] = logging.getLevelName(logging.getLogger().getEffectiveLevel())
"""
    environment = {} if level is None else {"AWS_LAMBDA_LOG_LEVEL": level}
    assert run(premises, source, **environment) == {"level": effective}


STREAMS = """
print("Käthe", end="")
facts["at once"] = "".join(written())
print("é\\ud800")
sys.stdout.write("a")
sys.stderr.write("b")
sys.__stdout__.write("c")
print("to stderr", file=sys.stderr)
facts["text"] = "".join(written())
facts["stdin"] = sys.stdin.read()
facts["same"] = sys.__stderr__ is sys.stderr and sys.__stdin__ is sys.stdin
sys.stdout = None
sys.stderr.close()
logs.flush()
logging.error("still heard")
facts["closed"] = len(events())
sys.stdout = sys.__stdout__
"""


def test_streams(premises: Premises, interpreters_found: tuple[Interpreter, ...]) -> None:
    for interpreter in interpreters_found:
        assert run(premises, STREAMS, interpreter.executable) == {
            "at once": "Käthe",
            "text": "é\\ud800\nabcto stderr\n",
            "stdin": "",
            "same": True,
            "closed": 1,
        }


ERRORS = """
frame = '  File "/var/task/h.py", line 2, in f\\n    g()\\n'
logs.log_error(Fault("ValueError", "text", [frame, "x"]), "id")
logs.log_error(Fault("ValueError", "two\\nlines", []), "id")
logs.log_error(Fault("ValueError", ""), "id")
logs.log_error(Fault("Runtime.ImportModuleError", "\\ud800", ["\\n  a\\n\\n    b"]), "")
facts["errors"] = events()
logs.log_failed_init()
facts["init"] = events()
os.close(pipes.OUTPUT)
logs.log_error(Fault("ValueError", "nobody hears it", []), "id")
"""


def test_uncaught_errors(premises: Premises) -> None:
    before = time.time()
    facts = run(premises, ERRORS)
    traceback = "Traceback (most recent call last):\n"
    assert facts["errors"] == [
        f"[ERROR] ValueError: text\n{traceback}"
        f'{NBSP * 2}File "/var/task/h.py", line 2, in f\n{NBSP * 4}g()\nx\n',
        # An empty stack still has the line above it.
        f"[ERROR] ValueError: two\nlines\n{traceback}",
        f"[ERROR] ValueError\n{traceback}",
        f"[ERROR] Runtime.ImportModuleError: \\ud800\n{traceback}\n{NBSP * 2}a\n\n{NBSP * 4}b\n",
    ]
    (warning,) = facts["init"]
    assert check_stamp(warning, before) == (
        "[WARNING]\tNOW\t\tLAMBDA_WARNING: Unhandled exception. "
        "The most likely cause is an issue in the function code.\n"
    )


TRACE = """
import os, subprocess
from samovar_worker.trace import set_trace
NAME = "_X_AMZN_TRACE_ID"

def seen():
    child = subprocess.run(["env"], capture_output=True, text=True, errors="surrogateescape")
    inherited = [line for line in child.stdout.splitlines() if line.startswith(NAME)]
    return [os.environ.get(NAME), os.getenv(NAME), NAME in os.environ, inherited]

facts["at first"] = seen()
set_trace("Root=1-0-1;Sampled=0")
facts["set"] = seen()
set_trace("Root=1-0-2")
facts["again"] = seen()
del os.environ[NAME]  # the function's doing
facts["deleted"] = seen()
set_trace("Root=1-0-3")
os.environ[NAME] = "own"
facts["changed"] = seen()
set_trace(None)
facts["none"] = seen()
set_trace(None)
facts["none again"] = seen()
os.environ.clear()
set_trace("Käthe")
facts["text"] = [os.environ[NAME], list(os.environ)]
set_trace("x" * 5000)
facts["long"] = seen()
set_trace("Root=1-0-5")
facts["short again"] = seen()
os.environ = {}
set_trace("Root=1-0-4")
set_trace(None)
facts["another mapping"] = os.getenv(NAME)
"""


def test_the_trace(premises: Premises, interpreters_found: tuple[Interpreter, ...]) -> None:
    name = "_X_AMZN_TRACE_ID"
    absent = [None, None, False, []]

    def present(value: str) -> list[Any]:
        return [value, value, True, [f"{name}={value}"]]

    for interpreter in interpreters_found:
        path = {"PATH": "/usr/bin:/bin"}
        assert interpreters.run(interpreter.executable, premises, TRACE, None, path) == {
            "at first": absent,
            "set": present("Root=1-0-1;Sampled=0"),
            "again": present("Root=1-0-2"),
            "deleted": absent,
            "changed": present("own"),
            "none": absent,
            "none again": absent,
            "text": ["Käthe", [name]],
            "long": present("x" * 5000),
            "short again": present("Root=1-0-5"),
            "another mapping": None,
        }
