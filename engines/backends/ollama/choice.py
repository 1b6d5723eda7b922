"""Chooses among the models of an Ollama for requests that name none. No I/O."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engines.models.vram import GIB, amount

PREFERRED = ("gpt-oss:20b", "gpt-oss:latest")
"""Taken if installed; ``latest`` is the same model."""

OTHER_USE = re.compile(r"guard|shieldgemma|moderation|ocr|rerank|functiongemma|reader-lm", re.IGNORECASE)
"""Matches names of models that answer in a fixed form of their own: moderation, recognition, ranking."""

MULTILINGUAL = (
    "bge-m3",
    "paraphrase-multilingual",
    "multilingual-e5",
    "snowflake-arctic-embed2",
    "granite-embedding:278m",
    "embeddinggemma",
    "jina-embeddings-v3",
    "nomic-embed-text-v2",
    "qwen3-embedding",
)
"""Embedding models of many languages, preferred in this order: first those that need no prefix."""

BITS = re.compile(r"(?:Q|FP|F)(\d+)", re.IGNORECASE)
KEPT_BY_BITS = ((4, 1.0), (3, 0.8), (0, 0.5))
"""Share of a model's worth that is left with at least so many bits a weight: an estimate, not measured."""

SMALLEST = 1.5
"""Billions of weights a second model has at least; 0.5 label much worse (docs/design.md, Decisions)."""

FASTER = 2.0
"""A second model uses at most this fraction of the first one's weights for a token."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """An installed model."""

    name: str
    chats: bool
    embeds: bool
    billions: float
    active: float
    """Billions of weights used for each token; less than all in a mixture of experts."""
    quantisation: str
    needs: int
    """Bytes of memory with the largest context of the tiers, for one request."""

    @property
    def bits(self) -> int:
        found = BITS.search(self.quantisation)
        return int(found[1]) if found else 4

    @property
    def rank(self) -> tuple[float, int, str]:
        """Sorts chat models by worth: weights, less what a coarse quantisation loses; then by bits."""
        kept = next(share for bits, share in KEPT_BY_BITS if self.bits >= bits)
        return self.billions * kept, self.bits, self.name

    def __str__(self) -> str:
        return f"{self.billions:.1f}B {self.quantisation}, {amount(self.needs)}"


@dataclass(frozen=True, slots=True)
class Choice:
    """The models of requests that name none; empty where none is suitable."""

    main: str = ""
    reason: str = ""
    small: str = ""
    embedding: str = ""
    failed: Mapping[str, str] | None = None
    """Models left out, with the reason."""

    @property
    def notes(self) -> tuple[str, ...]:
        return tuple(f"{name} is not used: {why}" for name, why in (self.failed or {}).items())


def choose(
    installed: Sequence[Candidate],
    loaded: Mapping[str, bool],
    *,
    total_gib: float,
    named: str = "",
    failed: Mapping[str, str] | None = None,
) -> Choice:
    """Chooses a chat model, a faster one and an embedding model beside it; ``named`` is the settings' model.

    ``loaded`` says of each loaded model whether it has the context of our requests. If so, and if it would
    be the second one beside the usual choice, the small tier loaded it, and it does not count as the first.
    """
    usable = [model for model in installed if model.name not in (failed or {})]
    if named:
        main = next((model for model in installed if model.name in (named, f"{named}:latest")), None)
        return Choice(embedding=_name(_embedding(usable, main, total_gib)), failed=failed)
    chat = [model for model in usable if model.chats]
    if not chat:
        return Choice(embedding=_name(_embedding(usable, None, total_gib)), failed=failed)
    main, reason = _usual(chat, total_gib)
    second = _second(chat, main, _embedding(usable, main, total_gib), total_gib)
    running = [
        model for model in chat if model.name in loaded and not (model is second and loaded[model.name])
    ]
    if running:
        main, reason = max(running, key=lambda model: model.rank), "it is loaded in Ollama now"
        if main.needs > total_gib * GIB:
            reason += f"; nothing fits beside it in the {total_gib:g} GiB of `[vram] total_gib`"
    embedding = _embedding(usable, main, total_gib)
    second = _second(chat, main, embedding, total_gib)
    return Choice(main.name, reason, _name(second), _name(embedding), failed)


def _name(model: Candidate | None) -> str:
    return model.name if model else ""


def _usual(chat: Sequence[Candidate], total_gib: float) -> tuple[Candidate, str]:
    """Returns the chat model that is used if none is loaded, and the reason."""
    for name in PREFERRED:
        for model in chat:
            if model.name == name:
                return model, f"of the models in Ollama it is our first choice ({model})"
    fitting = [model for model in chat if model.needs <= total_gib * GIB]
    if len(chat) == 1:
        note = "" if fitting else f", though it may not fit in {total_gib:g} GiB"
        return chat[0], f"the only chat model in Ollama ({chat[0]}){note}"
    if not fitting:
        least = min(chat, key=lambda model: model.needs)
        return (
            least,
            f"none of {len(chat)} chat models fits in {total_gib:g} GiB, it needs the least ({least})",
        )
    best = max(fitting, key=lambda model: model.rank)
    return best, f"the best of {len(chat)} chat models that fits in {total_gib:g} GiB ({best})"


def _embedding(usable: Sequence[Candidate], main: Candidate | None, total_gib: float) -> Candidate | None:
    """Returns the best embedding model that fits beside ``main``: Ollama would unload one for the other."""
    room = total_gib * GIB - (main.needs if main else 0)
    fitting = [model for model in usable if model.embeds and model.needs <= room]
    return min(fitting, key=lambda model: (_language(model.name), -model.billions, model.name), default=None)


def _language(name: str) -> int:
    """Returns the place in ``MULTILINGUAL``; the last for all others."""
    places = (place for place, known in enumerate(MULTILINGUAL) if known in name.lower())
    return next(places, len(MULTILINGUAL))


def _second(
    chat: Sequence[Candidate], main: Candidate, embedding: Candidate | None, total_gib: float
) -> Candidate | None:
    """Returns the best faster model that fits beside ``main`` and ``embedding``."""
    room = total_gib * GIB - main.needs - (embedding.needs if embedding else 0)
    fitting = [
        model
        for model in chat
        if model.needs <= room
        and model.billions >= SMALLEST
        and FASTER * model.active <= main.active
        and model.billions < main.billions
    ]
    return max(fitting, key=lambda model: model.rank, default=None)
