"""The zygote's book of children, where the order of two events is up to the kernel."""

from __future__ import annotations

from tests.unit import interpreters

from samovar.context.launch_plan import Premises
from samovar.registry.runtimes import Interpreter

# A context whose worker is reaped and whose holder is killed but not yet reaped, as between two
# turns of the zygote's loop; the holder is a real child.
CHECK = r"""
import os, signal
from samovar_worker import zygote
from samovar_worker.wire import control

class Connection:
    sent = []
    def send(self, data):
        self.sent.append(control.unpack(data))

made = zygote.Zygote(Connection(), True, None)
read_end, write_end = os.pipe()
holder = os.fork()
if holder == 0:
    os.read(read_end, 1)
    os._exit(0)
child = zygote.Child()
child.holder, child.mounts, child.status = holder, os.dup(read_end), signal.SIGKILL
made._children[1], made._context_of[holder] = child, 1

made._discard(1)
facts["known while the holder lives"] = list(made._children)
os.kill(holder, signal.SIGKILL)
os.waitid(os.P_PID, holder, os.WEXITED | os.WNOWAIT)
made._reap()
facts["known afterwards"] = list(made._children)
facts["told"] = [list(exited) for exited in Connection.sent]
try:
    os.fstat(child.mounts)
except OSError:
    facts["mounts"] = "let go"
"""


def test_a_context_given_up_while_its_holder_dies_is_forgotten_once(
    premises: Premises, interpreters_found: tuple[Interpreter, ...]
) -> None:
    for interpreter in interpreters_found:
        facts = interpreters.run(interpreter.executable, premises, CHECK)
        assert facts == {
            "known while the holder lives": [1],
            "known afterwards": [],
            "told": [[1, None, 9, 0, False]],
            "mounts": "let go",
        }
