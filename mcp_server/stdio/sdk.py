"""Imports the MCP SDK without the parts that a stdio server does not use.

``import mcp`` imports the SDK's client, its HTTP transports and ``MCPServer``, and with them an HTTP client,
a web server and a cryptography library: 21 MB and 0.2 s of CPU in each stdio process. The modules in
``UNUSED`` are therefore empty while the SDK is imported, and forgotten afterwards, so that a later import
finds the real ones. The SDK only names their contents; if a version of it needs more, all of it is imported.

The SDK has the types of the protocol three times, twice to check messages by version. The models of those
two are built when they are first used, which few are: 3 MB.
"""

import importlib
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

NEEDED = ("mcp.server.lowlevel", "mcp.server.stdio")

UNUSED = (
    "mcp.client",
    "mcp.server.auth",
    "mcp.server.mcpserver",
    "mcp.server.streamable_http",
    "mcp.server.streamable_http_manager",
    "mcp.server.transport_security",
    "starlette",
)
"""Modules and packages that are empty while the SDK is imported."""


def import_sdk() -> None:
    """Imports ``NEEDED`` without ``UNUSED``, or as it is if that fails; does nothing if it is imported."""
    if "mcp" in sys.modules:
        return
    importlib.import_module("mcp_types")
    with _deferred_models():
        importlib.import_module("mcp_types.methods")
    finder = _EmptyModules()
    sys.meta_path.insert(0, finder)
    try:
        for name in NEEDED:
            importlib.import_module(name)
    except (ImportError, AttributeError, TypeError):
        _forget("mcp")
    finally:
        sys.meta_path.remove(finder)
        for name in UNUSED:
            _forget(name)


@contextmanager
def _deferred_models() -> Generator[None]:
    """Models that are defined in the body are built when they are used."""
    from pydantic import BaseModel

    BaseModel.model_config["defer_build"] = True
    try:
        yield
    finally:
        del BaseModel.model_config["defer_build"]


def _forget(package: str) -> None:
    """Removes a package and its modules from what is imported."""
    for name in [name for name in sys.modules if name == package or name.startswith(f"{package}.")]:
        del sys.modules[name]
    parent, _, own = package.rpartition(".")
    with suppress(KeyError, AttributeError):
        delattr(sys.modules[parent], own)


class _EmptyModules(MetaPathFinder, Loader):
    """Finds an empty module for each of ``UNUSED`` and what is below them."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname in UNUSED or fullname.startswith(tuple(f"{name}." for name in UNUSED)):
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _EmptyModule(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        pass


class _EmptyModule(ModuleType):
    """A module in which every public name is a class without contents."""

    def __getattr__(self, name: str) -> type:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (), {})
