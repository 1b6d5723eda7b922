"""What a tool is to the dispatcher and the catalogue."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic

from engines.base import JsonObject
from tools.arguments import A
from tools.pipeline.run import Run


@dataclass(frozen=True, slots=True)
class Output:
    """What a tool found; the dispatcher makes the ``Result`` of it."""

    fields: JsonObject
    decided_by: str = ""


class Tool(ABC, Generic[A]):
    """One of the four. Stateless: everything a call needs is in its ``Run``."""

    name: ClassVar[str]
    description: ClassVar[str]
    """For the agent that decides whether to call it: short, it is in every context."""
    wants: ClassVar[str] = ""
    """The tier the tool asks for when the caller does not."""
    splits: ClassVar[bool] = True
    """Whether a text too long for one request is split over several."""
    plain: ClassVar[str] = ""
    """The field that is the whole answer as text, where there is one."""
    output_schema: ClassVar[JsonObject | None] = None
    arguments: type[A]

    @abstractmethod
    async def run(self, arguments: A, run: Run) -> Output:
        """Do the work.

        Raises:
            AgentError: the call cannot be answered.
        """

    def prompt_tokens(self, arguments: A, documents: Sequence[int], count: Callable[[str], int]) -> int:
        """Estimated tokens of the largest prompt the tool would send if it split nothing.

        ``documents`` are the estimates of each document of the call.
        """
        return max(documents, default=0) + PROMPT_OVERHEAD

    def is_hard(self, arguments: A) -> bool:
        """Whether what is asked looks like more than a small model can do."""
        return False

    def max_tokens(self, arguments: A) -> int | None:
        """Answer tokens the caller asked for; ``None``: what the tier allows."""
        return None


PROMPT_OVERHEAD = 200
"""Tokens of a tool's own instructions and the chat template; a test holds the longest under it."""
