from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Self

import pytest

from engines.middleware.wrapper import WrapperEngine
from tests.engines.middleware.fakes import FlakyEngine, ask

pytestmark = pytest.mark.anyio


class OpenedEngine(FlakyEngine):
    opened = False

    @asynccontextmanager
    async def __asynccontextmanager__(self) -> AsyncGenerator[Self]:
        self.opened = True
        yield self
        self.opened = False


async def test_a_wrapper_forwards_everything():
    inner = OpenedEngine("ollama")
    async with WrapperEngine(inner) as engine:
        assert inner.opened
        assert engine.name == "ollama"
        assert await engine.profile() == await inner.profile()
        assert await engine.models() == await inner.models()
        assert await engine.complete(ask()) == await inner.complete(ask())
        assert await engine.embed(["text"]) == await inner.embed(["text"])
        assert await engine.count_tokens("two words", model="ollama-model") == 2
        await engine.check()
        assert inner.checks == 1
    assert not inner.opened
