"""Which function is the handler: read from the source, never run."""

from __future__ import annotations

import io
import zipfile

import pytest

from samovar.doors.cli.deploy.handlers import find_handler, read_modules
from samovar.doors.cli.exits import Exit, Failure

TAKES_TWO = "def {}(event, context):\n    raise SystemExit('it was run')\n"
HANDLER = TAKES_TWO.format("handler")
LAMBDA_HANDLER = TAKES_TWO.format("lambda_handler")


@pytest.mark.parametrize(
    ("modules", "found"),
    [
        ({"app": HANDLER}, "app.handler"),
        ({"main": LAMBDA_HANDLER, "other": "x = 1"}, "main.lambda_handler"),
        # AWS's own default wins over others.
        (
            {"lambda_function": LAMBDA_HANDLER, "app": HANDLER, "index": HANDLER},
            "lambda_function.lambda_handler",
        ),
        ({"app": "handler = Wrapper(api)\n"}, "app.handler"),
        ({"app": "handler: object = Wrapper(api)\n"}, "app.handler"),
        ({"app": "class handler:\n    pass\n"}, "app.handler"),
        (
            {"app": "try:\n    import x\nexcept E:\n    pass\nelse:\n    handler = a\n"},
            "app.handler",
        ),
        ({"app": "if True:\n    handler = make()\n"}, "app.handler"),
        ({"app": "with this:\n    handler = make()\n"}, "app.handler"),
        ({"app": "try:\n    handler = a\nexcept E:\n    handler = b\n"}, "app.handler"),
        # Whoever uses another's handler is not it, unless there is no other.
        ({"app": HANDLER, "tests": "from app import handler\n"}, "app.handler"),
        ({"index": "from shop.orders import lambda_handler\n"}, "index.lambda_handler"),
        ({"index": "from shop.orders import place as handler\n"}, "index.handler"),
        ({"app": HANDLER, "broken": "def (:\n"}, "app.handler"),
        (
            {"app": "def outer():\n    def handler(event, context): pass\n" + LAMBDA_HANDLER},
            "app.lambda_handler",
        ),
    ],
)
def test_the_one_that_there_is(modules: dict[str, str], found: str) -> None:
    assert find_handler(modules) == found


def test_several_are_listed_and_none_is_chosen() -> None:
    with pytest.raises(Failure) as raised:
        find_handler({"app": HANDLER + LAMBDA_HANDLER, "main": HANDLER})
    assert raised.value.exit_code == Exit.USAGE
    for name in ("app.lambda_handler", "app.handler", "main.handler"):
        assert f"--handler {name}\n" in raised.value.message


def test_none_is_told_with_what_could_be_it() -> None:
    modules = {
        "app": TAKES_TWO.format("place") + "def one(event): pass\nasync def handler(e, c): pass\n",
        "broken": "def (:\n",
    }
    with pytest.raises(Failure) as raised:
        find_handler(modules)
    message = raised.value.message
    assert "--handler app.place  takes" in message
    assert "app.one" not in message
    assert "app.handler" not in message  # a coroutine is none
    assert "broken.py can't be read" in message


def test_the_handler_that_a_function_has_stays_while_it_is_there() -> None:
    modules = {"app": HANDLER + TAKES_TWO.format("place"), "main": HANDLER}
    assert find_handler(modules, "app.place") == "app.place"
    assert find_handler(modules, "main.handler") == "main.handler"
    with pytest.raises(Failure):
        find_handler(modules, "app.gone")
    assert find_handler({"app": HANDLER}, "gone.handler") == "app.handler"


@pytest.mark.parametrize("current", ["src.app.main", "src/app.main", "src.main"])
def test_a_handler_deeper_in_the_package_stays_while_its_module_is_there(current: str) -> None:
    files = ["src/app.py", "src/__init__.py", "app.py"]
    assert find_handler({"app": HANDLER}, current, files) == current
    assert find_handler({"app": HANDLER}, current, ["app.py"]) == "app.handler"


def test_modules_are_read_from_the_top_of_the_package_only() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("app.py", "\ufeff" + HANDLER)
        archive.writestr("lib/other.py", HANDLER)
        archive.writestr("latin.py", b"# caf\xe9\n")
        archive.writestr("not-a-module.py", HANDLER)
        archive.writestr("app.txt", HANDLER)
    with zipfile.ZipFile(buffer) as archive:
        assert read_modules(archive.namelist(), archive.read) == {"app": HANDLER}
