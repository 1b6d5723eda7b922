"""``SingleEngine``: a dispatcher's ``Engines`` with one engine."""

from collections.abc import Sequence

from engines.base import Engine, Model, Profile


class SingleEngine:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def models(self) -> Sequence[Model]:
        return await self._engine.models()

    async def ready(self) -> Profile:
        return await self._engine.profile()
