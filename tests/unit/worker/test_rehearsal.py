"""A spare's rehearsal leaves nothing that a function could see, under every interpreter here."""

from __future__ import annotations

from tests.unit import interpreters

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

CHECK = r"""
import os, threading
from samovar_worker import rehearsal
from samovar_worker.lambda_context import LambdaContext

def seen():
    return {
        "modules": sorted(sys.modules),
        "path": list(sys.path),
        "finders": sorted(sys.path_importer_cache),
        "environment": dict(os.environ),
        "of C": os.popen("env").read(),
        "name": LambdaContext.function_name,
        "threads": threading.active_count(),
    }

seen()  # what looking imports is here now
sys.path_importer_cache.pop(os.path.dirname(rehearsal.__file__))  # as at boot
facts["before"] = seen()
rehearsal.rehearse()
facts["after"] = seen()
"""


def test_a_rehearsal_leaves_no_trace(
    premises: Premises, interpreters_found: tuple[Interpreter, ...]
) -> None:
    for interpreter in interpreters_found:
        facts = interpreters.run(interpreter.executable, premises, CHECK)
        assert facts["after"] == facts["before"]
