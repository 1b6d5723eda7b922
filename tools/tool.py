"""Base class of the tools, as the dispatcher and the catalog use it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Generic

from engines.base import JsonObject
from tools.arguments import A
from tools.pipeline.run import Run


@dataclass(frozen=True, slots=True)
class Output:
    """Result of a tool's run; the dispatcher makes the ``Result`` from it."""

    fields: JsonObject
    decided_by: str = ""
    rows: Sequence[JsonObject] = ()
    """Every item of an answer whose ``fields`` do not have them all; goes into a results file."""


class Tool(ABC, Generic[A]):
    """A tool. Stateless: everything a call needs is in its ``Run``."""

    name: ClassVar[str]
    description: ClassVar[str]
    """Text from which an agent decides whether to call the tool; short, because every context holds it."""
    wants: ClassVar[str] = ""
    """Tier used when the caller names none."""
    splits: ClassVar[bool] = True
    """Whether a text too long for one request is split over several."""
    plain: ClassVar[str] = ""
    """Field that is the whole answer as text, if there is one."""
    output_schema: ClassVar[JsonObject | None] = None
    counted: ClassVar[bool] = True
    """Whether arguments and answer are in an agent's context, so that they count against what is saved."""
    arguments: type[A]

    @abstractmethod
    async def run(self, arguments: A, run: Run) -> Output:
        """Runs the tool.

        Raises:
            AgentError: the call cannot be answered.
        """

    def tier(self, arguments: A) -> str:
        """Returns the tier used when the caller names none; empty for the smallest that fits."""
        return self.wants

    async def fitted(self, arguments: A, run: Run) -> Run:
        """Returns the run with its documents cut to what the tool can send, if it splits nothing."""
        return run

    def prompt_tokens(self, arguments: A, documents: Sequence[int], count: Callable[[str], int]) -> int:
        """Estimates the tokens of the largest prompt the tool would send if it split nothing.

        ``documents`` are the estimates of each document of the call.
        """
        return max(documents, default=0) + PROMPT_OVERHEAD

    def is_hard(self, arguments: A) -> bool:
        """Returns whether the request looks too hard for a small model."""
        return False

    def max_tokens(self, arguments: A) -> int | None:
        """Returns the answer tokens the caller asked for; ``None`` uses the tier's limit."""
        return None


PROMPT_OVERHEAD = 200
"""Token budget of a tool's own instructions and the chat template; a test checks the longest."""
