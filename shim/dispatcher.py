"""What the doors ask of the tools room."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any, Protocol

from engines.base import Model, Profile
from tools.base import Call, Progress, Project, Result, Stream, silent

if TYPE_CHECKING:
    from tools.catalog import ToolDefinition

ProjectOf = Callable[[str, Mapping[str, Any]], Project]
"""The project a call is about, by its ``X-Project`` header (empty when there is none) or its arguments."""


class Dispatcher(Protocol):
    @property
    def catalogue(self) -> "Sequence[ToolDefinition]": ...
    async def run(self, call: Call, progress: Progress = silent) -> Result: ...
    def stream(self, call: Call) -> AbstractAsyncContextManager[Stream]: ...
    async def models(self) -> Sequence[Model]: ...
    async def ready(self) -> Profile: ...
