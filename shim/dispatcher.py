"""The dispatcher protocol: what the routes require of the ``tools`` package."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from engines.base import Completion, Model, Profile
from tools.base import Call, Progress, Project, Receipt, Result, Stream, silent

if TYPE_CHECKING:
    from tools.catalog import ToolDefinition
    from tools.tool import Tool

ProjectOf = Callable[[str, Mapping[str, Any]], Project]
"""Returns the project of a call from its ``X-Project`` header (empty if missing) and its arguments."""


class Dispatcher(Protocol):
    """Runs tool calls, whole or streamed, and lists tools and models."""

    @property
    def catalogue(self) -> "Sequence[ToolDefinition]": ...
    async def run(self, call: Call, progress: Progress = silent) -> Result: ...
    async def complete(self, call: Call) -> tuple[Completion, Receipt]: ...
    def stream(self, call: Call) -> AbstractAsyncContextManager[Stream]: ...
    def serving(self, *tools: "Tool[Any]") -> "Dispatcher": ...
    async def models(self) -> Sequence[Model]: ...
    async def contexts(self) -> Mapping[str, int]: ...
    async def ready(self) -> Profile: ...
