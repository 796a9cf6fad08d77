"""The AWS SDK for JavaScript v3."""

from __future__ import annotations

import base64
import json

from tests.e2e.house import ECHO, Engine, Toolbox, zipped

FAILING = "def handler(event, context):\n    raise KeyError('gone')\n"


def test_the_life_of_a_function(locked: Engine, javascript: Toolbox) -> None:
    """With a key, so that all that it signs is verified as well."""
    packages = {
        name: base64.b64encode(zipped({"app.py": source})).decode()
        for name, source in (("first", ECHO), ("second", FAILING))
    }
    said = javascript.run("life.mjs", locked, json.dumps(packages))
    assert said == "done\n"
