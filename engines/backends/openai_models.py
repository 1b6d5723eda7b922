"""Reads ``/v1/models`` of vLLM, llama.cpp's server and others. No I/O."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from engines.backends.openai_json import readable
from engines.base import JsonObject, JsonValue

DEFAULT_CONTEXT = 4096
"""Context of a compatible server that does not report one."""

CONTEXTS = ("max_model_len", "context_length", "max_context_length")
"""Fields with the context in tokens: vLLM, OpenRouter and others, LM Studio."""

BILLIONS = re.compile(r"(?<![a-z\d.])(\d+(?:\.\d+)?)([bm])(?![a-z\d])", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Served:
    """A model or an adapter in ``/v1/models``."""

    name: str
    base: str
    """The model it adapts, empty for a model."""
    context: int
    """Context in tokens, 0 if not reported; an adapter has its base model's."""
    source: str
    """Folder or repository it was loaded from."""

    @property
    def billions(self) -> float:
        """Billions of weights, from the model's name (``Qwen3-4B``, ``smollm2-135m``); 0 if not named."""
        found = BILLIONS.search(self.name) or BILLIONS.search(self.source)
        return float(found[1]) / (1 if found[2] in "bB" else 1000) if found else 0.0


def read_models(answer: JsonObject) -> Sequence[Served]:
    with readable(answer):
        cards = cast("list[JsonObject]", answer["data"])
        return [_read_card(card, cards) for card in cards]


def _read_card(card: JsonObject, cards: Sequence[JsonObject]) -> Served:
    base = str(card.get("parent") or "")
    source = next((other for other in cards if other["id"] == base), card)
    return Served(str(card["id"]), base, _context(source), str(card.get("root") or ""))


def _context(card: JsonObject) -> int:
    meta = card.get("meta")  # llama.cpp
    values: list[JsonValue] = [card.get(name) for name in CONTEXTS]
    if isinstance(meta, dict):
        values.append(meta.get("n_ctx") or meta.get("n_ctx_train"))
    return next((value for value in values if isinstance(value, int) and value > 0), 0)
