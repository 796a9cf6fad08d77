"""Finds a package's handler by reading its modules; none of them is run."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from samovar.doors.cli.exits import Exit, Failure

# What handlers are called: AWS's console makes the first one, its documentation has the second.
NAMES = ("lambda_handler", "handler")
# The console's own, which wins over all others.
CONVENTION = "lambda_function.lambda_handler"


@dataclass(slots=True)
class _Module:
    """The names at a module's top level: bound there, imported from elsewhere, and functions that
    a handler could be by their number of parameters."""

    bound: set[str] = field(default_factory=set)
    imported: set[str] = field(default_factory=set)
    fitting: list[str] = field(default_factory=list)


def read_modules(files: Iterable[str], read: Callable[[str], bytes]) -> dict[str, str]:
    """The source of the modules among the `files` at a package's top, by module name; those in
    UTF-8 only. `read` gives a file's content."""
    found = {}
    for name in files:
        module = name.removesuffix(".py")
        if module == name or not module.isidentifier():
            continue
        try:
            found[module] = read(name).decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
    return found


def find_handler(modules: Mapping[str, str], current: str = "", files: Container[str] = ()) -> str:
    """The handler, as `module.function`. `current` is the one that the function has now, which
    stays if it is still there; `files` are the names of all files, for one that is deeper in the
    package. Raises Failure with the candidates where it isn't one."""
    seen, broken = {}, []
    for name, source in sorted(modules.items()):
        try:
            seen[name] = _read(source)
        except (SyntaxError, ValueError, RecursionError) as error:
            broken.append(f"{name}.py can't be read: {error}")
    bound = [
        f"{module}.{name}" for module, it in seen.items() for name in NAMES if name in it.bound
    ]
    imported = [
        f"{module}.{name}" for module, it in seen.items() for name in NAMES if name in it.imported
    ]
    if _still_there(current, seen, files):
        return current
    candidates = bound or imported  # a module that merely uses another's handler doesn't count
    if CONVENTION in candidates:
        return CONVENTION
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise Failure(
            Exit.USAGE,
            "more than one function could be the handler:\n"
            + "".join(f"  --handler {name}\n" for name in candidates)
            + "say which one it is",
        )
    raise Failure(Exit.USAGE, _none(seen, broken))


def _still_there(current: str, seen: Mapping[str, _Module], files: Container[str]) -> bool:
    """Of a module that wasn't read, its file says enough: `src/app.handler` may be anybody's."""
    module, _, function = current.rpartition(".")
    if module in seen:
        return function in seen[module].bound | seen[module].imported
    path = module.replace(".", "/")
    return bool(module) and any(f"{path}{end}" in files for end in (".py", "/__init__.py"))


def _none(seen: Mapping[str, _Module], broken: list[str]) -> str:
    lines = ["no handler found: no module at the package's top has a lambda_handler or a handler"]
    lines += broken
    fitting = [f"{module}.{name}" for module, it in seen.items() for name in it.fitting]
    lines += [f"  --handler {name}  takes an event and a context" for name in fitting]
    lines.append("say which function it is: --handler module.function")
    return "\n".join(lines)


def _read(source: str) -> _Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of escapes in somebody else's strings
        tree = ast.parse(source)
    found = _Module()
    for node in _top_level(tree.body):
        match node:
            case ast.FunctionDef(name=name, args=arguments):
                found.bound.add(name)
                if len(arguments.posonlyargs) + len(arguments.args) == 2:
                    found.fitting.append(name)
            case ast.ClassDef(name=name):
                found.bound.add(name)
            case ast.Assign(targets=targets):
                found.bound |= {item.id for item in targets if isinstance(item, ast.Name)}
            case ast.AnnAssign(target=ast.Name(id=name), value=value) if value is not None:
                found.bound.add(name)
            case ast.ImportFrom(names=names):
                found.imported |= {item.asname or item.name for item in names}
            case _:
                pass  # nothing that a handler could be: AWS's runtime awaits no coroutine
    return found


def _top_level(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when the module is imported, those under an `if` or a `try` included."""
    for node in body:
        yield node
        match node:
            case ast.If(body=inner, orelse=other):
                yield from _top_level([*inner, *other])
            case ast.Try(body=inner, handlers=handlers, orelse=other, finalbody=last):
                yield from _top_level([*inner, *other, *last])
                for handler in handlers:
                    yield from _top_level(handler.body)
            case ast.With(body=inner):
                yield from _top_level(inner)
            case _:
                pass
