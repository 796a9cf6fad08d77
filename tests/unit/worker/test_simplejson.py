"""The runtime's simplejson and the function's: whichever comes first, both work."""

from __future__ import annotations

from pathlib import Path

from tests.unit import interpreters

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

BEGIN = """
from decimal import Decimal
from samovar_worker import marshal
marshal.runtime_paths[:] = [sys.argv[2]]

def written():
    return marshal.dump_result({"d": [Decimal("1.50")], "b": b"x"}).decode()
"""
EXPECTED = '{"d": [1.50], "b": "x"}'

SAME = """
first = written()
import simplejson
facts["results"] = [first, written(), written()]
facts["theirs"] = simplejson.dumps([simplejson.RawJSON("1.0"), Decimal("2.0")])
"""
SAME_BEFORE = """
import simplejson
first = simplejson.dumps([simplejson.RawJSON("1.0"), Decimal("2.0")])
facts["results"] = [written(), written()]
facts["theirs"] = simplejson.dumps([simplejson.RawJSON("1.0"), Decimal("2.0")])
"""
OTHER = """
sys.path.insert(0, given)
results = [written()]
import simplejson
facts["results"] = [*results, written()]
facts["theirs"] = simplejson.dumps("x")
facts["modules"] = sorted(name for name in sys.modules if name.startswith("simplejson"))
"""
OTHER_BEFORE = """
sys.path.insert(0, given)
import simplejson, simplejson.part
facts["results"] = [written(), written()]
facts["theirs"] = simplejson.dumps("x")
facts["modules"] = sorted(name for name in sys.modules if name.startswith("simplejson"))
"""
ODD = """
sys.modules["simplejson"] = 5  # a function may do worse
facts["results"] = [written(), written()]
facts["theirs"] = sys.modules["simplejson"]
"""


def test_both_work(
    premises: Premises, interpreters_found: tuple[Interpreter, ...], tmp_path: Path
) -> None:
    package = tmp_path / "simplejson"
    package.mkdir()
    (package / "__init__.py").write_text("def dumps(value): return 'own'\n")
    (package / "part.py").write_text("")
    for interpreter in interpreters_found:
        for source, theirs, modules in (
            (SAME, "[1.0, 2.0]", None),
            (SAME_BEFORE, "[1.0, 2.0]", None),
            (OTHER, "own", ["simplejson"]),
            (OTHER_BEFORE, "own", ["simplejson", "simplejson.part"]),
            (ODD, 5, None),
        ):
            facts = interpreters.run(
                interpreter.executable, premises, BEGIN + source, str(tmp_path)
            )
            assert set(facts["results"]) == {EXPECTED}, source
            assert facts["theirs"] == theirs
            assert facts.get("modules") == modules
