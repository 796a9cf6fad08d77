"""Run by test_unprivileged.py as another user: an engine's walls, and what a function sees."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from samovar.engine import Engine
from samovar.registry.functions import ConfigurationChanges
from samovar.settings import Settings

HANDLER = """
import os, subprocess
import tea
def handler(event, context):
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    return {
        "uid": os.getuid(),
        "pid": os.getpid(),
        "capabilities": int(status["CapEff"], 16),
        "no_new_privs": status["NoNewPrivs"].strip(),
        "root": sorted(os.listdir("/")),
        "layers": [tea.WHOSE, tea.__file__],
        "start": os.environ["AWS_LAMBDA_INITIALIZATION_TYPE"],
        "seen": subprocess.run(["ls", "/tmp"], capture_output=True, text=True).stdout,
    }
"""


async def main(place: Path) -> None:
    code = place / "code"
    code.mkdir()
    (code / "app.py").write_text(HANDLER)
    layers = [place / "one", place / "two"]
    for layer in layers:
        (layer / "python").mkdir(parents=True)
        (layer / "python" / "tea.py").write_text(f"WHOSE = {layer.name!r}\n")
    async with Engine(Settings(data_dir=place / "data", spares=1)) as engine:
        report = engine.report()
        arns = [
            (await engine.publish_layer(layer.name, content=layer)).version_arn for layer in layers
        ]
        await engine.create_function(
            "look", code=code, handler="app.handler", timeout=30, layers=arns
        )
        outcome = await engine.invoke("look")
        changes = ConfigurationChanges(snap_start="PublishedVersions")
        await engine.registry.update_configuration("look", changes)
        await engine.registry.wait_settled("look")
        await engine.registry.versions.publish("look")
        version = await engine.registry.wait_settled("look", "1")
        restored = await engine.invoke("look", qualifier="1")
        templates = len(engine.templates())
    print(
        json.dumps(
            {
                "held": list(report.walls_held),
                "missing": dict(report.walls_missing),
                "error": outcome.function_error,
                "saw": json.loads(outcome.payload),
                "version": {"state": version.state, "reason": version.state_reason},
                "templates": templates,
                "restored": json.loads(restored.payload),
            }
        )
    )


asyncio.run(main(Path(sys.argv[1])))
