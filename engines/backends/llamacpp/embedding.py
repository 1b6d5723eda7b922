"""Sentence embeddings from llama.cpp's server, in batches; long texts are split and averaged."""

import math
from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from engines.backends.llamacpp.server import ServerAddress
from engines.backends.openai_json import read_embeddings, readable
from engines.backends.openai_wire import Wire
from engines.base import Embeddings, JsonObject

BATCH = 256
"""Texts in one HTTP request; the server processes 16 at a time."""

Vector = tuple[float, ...]


async def embed(
    wire: Wire, server: ServerAddress, texts: Sequence[str], *, window: int, model: str, deadline: float
) -> Embeddings:
    """Returns the embeddings of ``texts``; one longer than ``window`` tokens is the mean of its parts."""
    parts: list[tuple[int, str]] = []
    for index, text in enumerate(texts):
        parts += [(index, part) for part in await _split(wire, server, text, window, deadline)]
    vectors: list[Vector] = []
    tokens = 0
    for start in range(0, len(parts), BATCH):
        batch = [part for _, part in parts[start : start + BATCH]]
        body: JsonObject = {"model": model, "input": [*batch], "encoding_format": "base64"}
        url = f"{server.embedding_url}/v1/embeddings"
        answer = read_embeddings(await wire.ask(url, body, key=server.key, deadline=deadline), model)
        vectors += answer.vectors
        tokens += answer.tokens
    rows = [(index, len(part), vector) for (index, part), vector in zip(parts, vectors, strict=True)]
    whole = (_mean([row[1:] for row in group]) for _, group in groupby(rows, itemgetter(0)))
    return Embeddings(tuple(whole), tokens, model)


async def _split(wire: Wire, server: ServerAddress, text: str, window: int, deadline: float) -> Sequence[str]:
    """Splits ``text`` into parts that fit the window, between words if possible."""
    # A text has at most one token per byte, plus the special tokens.
    if len(text.encode()) + 4 <= window:
        return [text]
    tokens = await count_tokens(wire, server.embedding_url, server.key, text, special=True, deadline=deadline)
    if tokens <= window:
        return [text]
    cut = text.rfind(" ", 1, len(text) // 2) + 1 or len(text) // 2
    parts: list[str] = []
    for half in (text[:cut], text[cut:]):
        parts += await _split(wire, server, half, window, deadline)
    return parts


async def count_tokens(
    wire: Wire, url: str, key: str, text: str, *, special: bool = False, deadline: float = math.inf
) -> int:
    body: JsonObject = {"content": text, "add_special": special}
    answer = await wire.ask(f"{url}/tokenize", body, key=key, deadline=deadline)
    with readable(answer):
        tokens = answer["tokens"]
        assert isinstance(tokens, list)
        return len(tokens)


def _mean(weighted: Sequence[tuple[int, Vector]]) -> Vector:
    if len(weighted) == 1:
        return weighted[0][1]
    summed = [
        math.fsum(length * vector[i] for length, vector in weighted) for i in range(len(weighted[0][1]))
    ]
    norm = math.hypot(*summed) or 1.0
    return tuple(x / norm for x in summed)
