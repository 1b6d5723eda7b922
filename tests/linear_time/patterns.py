"""Collects the regular expressions of our packages, and the methods by which each is used."""

import ast
import importlib
import inspect
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields
from types import ModuleType
from typing import Any, cast

PACKAGES = ("engines", "tools", "shim", "mcp_server")
ANCHORED = frozenset({"match", "fullmatch"})
METHODS = ANCHORED | {"search", "sub", "split", "findall", "finditer"}
PASSED: Mapping[str, str] = {
    "_BEGINS": "match",
    "_BANNER": "match",
    "_ARGUMENT": "match",
    "_ASSIGNED": "match",
}
"""Patterns that are arguments of a function which uses them so."""


@dataclass(slots=True)
class Used:
    """A pattern, where it stands, and how it is used."""

    pattern: re.Pattern[str] | re.Pattern[bytes]
    places: set[str] = field(default_factory=set[str])
    methods: set[str] = field(default_factory=set[str])

    @property
    def text(self) -> str:
        found = self.pattern.pattern
        return found if isinstance(found, str) else found.decode("latin-1")

    @property
    def sees_lines(self) -> bool:
        """Whether it is matched with one line at a time: it neither searches a text nor names a line end."""
        about_lines = self.pattern.flags & (re.MULTILINE | re.DOTALL) or r"\n" in self.text
        return self.methods <= ANCHORED and not about_lines


def collected() -> tuple[list[Used], list[str]]:
    """Returns all patterns, and the places of those made from arguments, which cannot be known."""
    found: dict[tuple[str | bytes, int], Used] = {}
    made: list[str] = []

    def add(pattern: re.Pattern[Any], place: str, methods: set[str]) -> None:
        used = found.setdefault((pattern.pattern, pattern.flags), Used(pattern))
        used.places.add(place)
        used.methods |= methods

    modules = list(_modules())
    by_name = {module: _methods(module) for module in modules}
    for module in modules:
        for name, value in _named(module):
            methods = by_name[module].get(name) or _elsewhere(name, by_name.values())
            for pattern in _patterns(value):
                add(pattern, f"{module.__name__}.{name}", methods)
        for call in _calls(module):
            place = f"{module.__name__}:{call.lineno}"
            try:
                pattern, methods = _evaluated(call, module)
            except NameError:
                made.append(place)
            else:
                add(pattern, place, methods)
    for text, name in _of_formats():
        add(re.compile(text), f"format {name}", {"fullmatch"})
    return list(found.values()), made


def _modules() -> Iterator[ModuleType]:
    for name in PACKAGES:
        package = importlib.import_module(name)
        yield package
        for module in pkgutil.walk_packages(package.__path__, f"{name}."):
            if not module.name.endswith("__main__"):
                yield importlib.import_module(module.name)


def _named(module: ModuleType) -> Iterator[tuple[str, object]]:
    for name, value in list(vars(module).items()):
        yield name, value
        if isinstance(value, type) and value.__module__ == module.__name__:
            yield from vars(value).items()


def _patterns(value: object, depth: int = 3) -> Iterator[re.Pattern[Any]]:
    if isinstance(value, re.Pattern):
        yield cast("re.Pattern[Any]", value)
    elif depth and isinstance(value, (tuple, list, Mapping)):
        held = cast("Mapping[object, object] | list[object]", value)
        for each in held.values() if isinstance(held, Mapping) else held:
            yield from _patterns(each, depth - 1)


def _methods(module: ModuleType) -> dict[str, set[str]]:
    """Returns the methods that are called or passed on, by the name of what has them."""
    found: defaultdict[str, set[str]] = defaultdict(set)
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.Attribute) and node.attr in METHODS:
            owner = node.value
            while isinstance(owner, ast.Subscript):
                owner = owner.value
            name = owner.id if isinstance(owner, ast.Name) else getattr(owner, "attr", "")
            found[name].add(node.attr)
    return dict(found)


def _elsewhere(name: str, by_name: Any) -> set[str]:
    if name in PASSED:
        return {PASSED[name]}
    return {method for methods in by_name for method in methods.get(name, ())} or {"search", "finditer"}


def _calls(module: ModuleType) -> Iterator[ast.Call]:
    """Yields the calls of functions of ``re``."""
    for node in ast.walk(_tree(module)):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="re"), attr=name)) if name in METHODS | {
                "compile"
            }:
                yield node
            case _:
                pass


def _evaluated(call: ast.Call, module: ModuleType) -> tuple[re.Pattern[Any], set[str]]:
    """Returns the pattern of a call. Raises NameError: it has local variables."""
    method = cast("ast.Attribute", call.func).attr
    at = {"compile": 1, "sub": 4, "split": 3}.get(method, 2)
    flags = [*call.args[at : at + 1], *(each.value for each in call.keywords if each.arg == "flags")]
    text, *given = (eval(ast.unparse(each), vars(module)) for each in (call.args[0], *flags))
    return re.compile(text, *given), {method} - {"compile"}


def _tree(module: ModuleType) -> ast.Module:
    return ast.parse(inspect.getsource(module))


def _of_formats() -> Iterator[tuple[str, str]]:
    """Yields the patterns of compilers and linters, which are compiled when they are first used."""
    from tools.extract.formats import line_formats
    from tools.extract.formats.diagnostics import COMPILERS, LINTERS

    for form in (*COMPILERS, *LINTERS):
        for each in fields(line_formats.Format):
            value: object = getattr(form, each.name)
            if each.name not in ("name", "needs", "repeats"):
                for text in cast("tuple[str, ...]", value if isinstance(value, tuple) else (value,)):
                    yield text, form.name
