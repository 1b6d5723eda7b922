"""embed: embeddings of a program's texts, for OpenAI's ``/v1/embeddings``."""

from array import array
from base64 import b64encode
from collections.abc import Sequence
from typing import Annotated, ClassVar

import anyio.to_thread
from pydantic import Field

from engines.base import JsonValue
from engines.errors import EngineInterruptedError, UnknownModelError, UnsupportedFeatureError
from tools.arguments import Arguments
from tools.pipeline.run import Run
from tools.tool import Output, Tool

BATCH = 256
"""Texts in one request to the engine; between two, other calls can have the slot."""
MOST_TEXTS = 2048
"""OpenAI's limit."""
LONGEST_TEXT = 32_768
"""Characters of a text: OpenAI's limit of 8,192 tokens, in English."""

Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]
SOME = Field(min_length=1, max_length=MOST_TEXTS)


class EmbedArguments(Arguments):
    input: Annotated[tuple[Text, ...], SOME]
    model: str = Field("", max_length=500)
    """The embedding model; empty for the engine's."""


class Embed(Tool[EmbedArguments]):
    """Returns ``vectors`` (base64 of 32-bit floats, one a text), ``tokens`` and ``model``."""

    name = "embed"
    description = "Embed texts."
    wants = "small"
    counted: ClassVar[bool] = False
    arguments = EmbedArguments

    async def run(self, arguments: EmbedArguments, run: Run) -> Output:
        model, texts = _model(arguments.model, run), arguments.input
        vectors: list[JsonValue] = []
        tokens = 0
        for start in range(0, len(texts), BATCH):
            made = await run.embed(texts[start : start + BATCH])
            if made.model != model:
                raise EngineInterruptedError(
                    f"the embedding model changed from {model!r} to {made.model!r} during the call, "
                    "and vectors of two models are not comparable",
                    hint="ask again",
                )
            vectors += await anyio.to_thread.run_sync(_packed, made.vectors)
            tokens += made.tokens
            await run.progress(len(vectors), len(texts), f"embedded {len(vectors)} of {len(texts)} texts")
        return Output({"vectors": vectors, "tokens": tokens, "model": model})


def _model(wanted: str, run: Run) -> str:
    """Returns the embedding model of the call's engine.

    Raises:
        UnsupportedFeatureError: the engine has none.
        UnknownModelError: it is not the one that is wanted.
    """
    profile = run.profile
    if not profile.capabilities.embed:
        raise UnsupportedFeatureError(
            f"{profile.engine}, the engine of the {run.route.tier.name} tier, has no embedding model",
            hint="name one under `embedding` in the settings of an engine that can embed, pull it, and give "
            "a tier that engine ([tiers.small] engine); `local-llm-agent doctor` shows what is missing",
        )
    if wanted and wanted != profile.embedding_model:
        raise UnknownModelError(
            f"{profile.engine} embeds with {profile.embedding_model!r}, not with {wanted!r}",
            hint="use auto, or a tier whose engine has that model",
        )
    return profile.embedding_model


def _packed(vectors: Sequence[Sequence[float]]) -> list[str]:
    return [b64encode(array("f", vector).tobytes()).decode() for vector in vectors]
