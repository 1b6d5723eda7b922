"""The models installed in one Ollama: their properties, and the choice of those that nobody named.

The list is read again after ``LISTED_S``; a model's properties only if its digest changed.
"""

import math
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

import anyio

from engines.backends.ollama.choice import OTHER_USE, Candidate, Choice, choose
from engines.backends.ollama.wire import Facts, facts, memory_of
from engines.errors import AgentError, UnknownModelError
from engines.settings import AUTO, OllamaSettings

if TYPE_CHECKING:
    from engines.backends.ollama.answers import Installed
    from engines.backends.ollama.client import Client

LISTED_S = 30.0
"""How long the list of installed and loaded models is cached."""

FAILED_S = 600.0
"""Seconds after which a model that could not be loaded is tried again."""

AT_ONCE = 8
"""Maximum of requests for properties at the same time."""

Connected = Callable[[str], "AbstractAsyncContextManager[Client]"]


class Inventory:
    """``connected`` opens the client for requests about a model; its errors are translated."""

    def __init__(
        self, settings: OllamaSettings, connected: Connected, *, context: int, total_gib: float
    ) -> None:
        self._named = "" if settings.model == AUTO else settings.model
        self._connected = connected
        self._context = context
        self._total_gib = total_gib
        self._facts: dict[str, Facts] = {}
        self._digests: dict[str, str] = {}
        self._failed: dict[str, tuple[float, str]] = {}
        self.seconds: set[str] = set()
        """Models chosen for the small tier so far, which its requests name."""
        self._choice = Choice()
        self._list_again = -math.inf
        self._listing = anyio.Lock()

    async def facts(self, model: str) -> Facts:
        """Returns the properties of ``model``.

        Raises:
            UnknownModelError: Ollama does not have it.
        """
        if model not in self._facts:
            async with self._connected(model) as client:
                self._facts[model] = facts(await client.show_all(model))
        return self._facts[model]

    async def choice(self) -> Choice:
        """Returns the models of requests that name none, as of the last ``LISTED_S`` seconds."""
        if anyio.current_time() > self._list_again:
            async with self._listing:
                if anyio.current_time() > self._list_again:
                    await self._list()
        return self._choice

    async def model(self) -> str:
        """Returns the chat model of requests that name none.

        Raises:
            UnknownModelError: Ollama has no suitable one; the message has the reasons.
        """
        if self._named:
            return self._named
        choice = await self.choice()
        if not choice.main:
            why = "; ".join(["Ollama has no chat model that can be used", *choice.notes])
            raise UnknownModelError(why, hint="ollama pull gpt-oss:20b, or another model that fits")
        return choice.main

    def context_of(self, known: Facts) -> int:
        """Returns the context of every request to a model, because Ollama reloads it for another."""
        return min(self._context, known.context or self._context)

    def give_up(self, model: str, why: str) -> None:
        """Leaves ``model`` out for a while."""
        self._failed[model] = (anyio.current_time() + FAILED_S, why)
        self._facts.pop(model, None)
        self._list_again = -math.inf

    async def _list(self) -> None:
        async with self._connected("") as client:
            installed = (await client.tags()).models
            running = (await client.running()).models
        self._forget_replaced(installed)
        now = anyio.current_time()
        failed = {name: why for name, (until, why) in self._failed.items() if now < until}
        candidates = await self._candidates([each for each in installed if not each.is_remote])
        known = self._facts
        loaded = {
            each.name: each.name in known and each.context_length == self.context_of(known[each.name])
            for each in running
        }
        self._choice = choose(candidates, loaded, total_gib=self._total_gib, named=self._named, failed=failed)
        self.seconds |= {self._choice.small} - {""}
        self._list_again = now + LISTED_S

    def _forget_replaced(self, installed: "Sequence[Installed]") -> None:
        digests = {each.name: each.digest for each in installed}
        for name in self._digests:
            if digests.get(name) != self._digests[name]:
                self._facts.pop(name, None)
                self._failed.pop(name, None)
        self._digests = digests

    async def _candidates(self, installed: "Sequence[Installed]") -> Sequence[Candidate]:
        found: dict[str, Candidate] = {}
        errors: list[AgentError] = []
        limiter = anyio.CapacityLimiter(AT_ONCE)

        async def read(each: "Installed") -> None:
            async with limiter:
                try:
                    known = await self.facts(each.name)
                except AgentError as error:
                    if error.retryable:
                        errors.append(error)
                    return  # removed since, or damaged
            found[each.name] = self._candidate(each, known)

        async with anyio.create_task_group() as tasks:
            for each in installed:
                tasks.start_soon(read, each)
        if errors and not found:
            raise errors[0]
        return [found[each.name] for each in installed if each.name in found]

    def _candidate(self, each: "Installed", known: Facts) -> Candidate:
        embeds = "embedding" in known.can
        return Candidate(
            each.name,
            chats=known.chats and not embeds and not known.base and not OTHER_USE.search(each.name),
            embeds=embeds,
            billions=known.billions,
            active=known.active,
            quantisation=each.details.quantization_level or "unknown",
            needs=memory_of(known, each.size, context=self.context_of(known)),
        )
