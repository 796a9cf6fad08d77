"""Another module's handler, and death in it: after its change is made, before it can answer.

`EXAMPLE` names the module, which has a DynamoDB table called `balances`. Death comes where the
client context says so: the event is the same as that of a delivery that goes well.
"""

import importlib
import os
import signal

example = importlib.import_module(os.environ["EXAMPLE"])


def die(**_):
    os.kill(os.getpid(), signal.SIGKILL)


def handler(event, context):
    if context.client_context and context.client_context.custom.get("die"):
        example.balances.meta.client.meta.events.register("after-call.dynamodb", die)
    return example.handler(event, context)
