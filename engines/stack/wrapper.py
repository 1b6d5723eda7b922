"""What every layer of the stack is: an engine around an engine."""

import math
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from engines.base import Embeddings, Engine, EventStream, Model, Profile, Request


class WrapperEngine(Engine):
    """Forwards everything to ``inner``, opening and closing included; a layer overrides what it changes."""

    def __init__(self, inner: Engine) -> None:
        self.inner = inner
        self.name = inner.name

    async def __aenter__(self) -> Self:
        await self.inner.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.inner.__aexit__(kind, error, traceback)

    async def profile(self, model: str = "") -> Profile:
        return await self.inner.profile(model)

    def stream(self, request: Request) -> EventStream:
        return self.inner.stream(request)

    async def models(self) -> Sequence[Model]:
        return await self.inner.models()

    async def check(self) -> None:
        await self.inner.check()

    async def embed(self, texts: Sequence[str], *, deadline: float = math.inf) -> Embeddings:
        return await self.inner.embed(texts, deadline=deadline)

    async def count_tokens(self, text: str, *, model: str = "") -> int:
        return await self.inner.count_tokens(text, model=model)
