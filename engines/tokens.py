"""Estimates token counts locally, without the network.

The encoding is o200k_base (GPT-OSS, GPT-4o). Methods, in this order: the counter compiled into the
``bpe-openai`` wheel, which is faster than tiktoken; ``tiktoken``, if its ranks are on disk, in its own
cache or unpacked from that wheel (otherwise it would download them); ``bytes``, a measured ratio.

For other models the count is an estimate; chunk borders use ``Engine.count_tokens`` where it exists.
"""

import gzip
import importlib.machinery
import importlib.util
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Literal

import anyio
import anyio.to_thread

Method = Literal["bpe-openai", "tiktoken", "bytes"]

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes per o200k_base token, measured over 2,500 public texts (intents, issues, logs, diffs)."""

ENCODED_WHOLE = 200_000
"""Characters; longer texts are counted from three samples (see ``Estimator.count``)."""
SAMPLE = 20_000

_O200K_CACHE_KEY = "fb374d419588a4632f3f557e76b4b70aebbca790"
"""The file name of o200k_base in tiktoken's cache (SHA-1 of its URL)."""


@dataclass(frozen=True, slots=True)
class Estimator:
    """Counts tokens; ``method`` is reported wherever a count is shown."""

    method: Method
    encode: Callable[[str], int]

    def count(self, text: str) -> int:
        """Returns the tokens of ``text``; texts over ``ENCODED_WHOLE`` characters are sampled and scaled."""
        if len(text) <= ENCODED_WHOLE:
            return self.encode(text)
        middle = (len(text) - SAMPLE) // 2
        sample = text[:SAMPLE] + text[middle : middle + SAMPLE] + text[-SAMPLE:]
        return round(self.encode(sample) * len(text) / len(sample))


def at_most(text: str) -> int:
    """Returns the UTF-8 bytes of ``text``, an upper bound of its tokens that takes a microsecond."""
    return len(text.encode(errors="surrogatepass"))


def by_bytes(text: str) -> int:
    """Estimates tokens from the number of UTF-8 bytes, rounded up."""
    return -int(-at_most(text) // BYTES_PER_TOKEN)


BYTES = Estimator("bytes", by_bytes)


def load(folder: Path) -> Estimator:
    """Loads the best available estimator; ``folder`` keeps the unpacked ranks.

    Takes up to 0.3 s of CPU and 80 MB: call it in a worker thread, on first use.
    """
    if compiled := _compiled():
        return Estimator("bpe-openai", compiled)
    if not _tiktoken_has_ranks():
        ranks = _unpacked(folder)
        if ranks is None:
            return BYTES
        os.environ["TIKTOKEN_CACHE_DIR"] = str(ranks.parent)
    import tiktoken

    encoding = tiktoken.get_encoding("o200k_base")
    return Estimator("tiktoken", lambda text: len(encoding.encode_ordinary(text)))


class LazyEstimator:
    """Loads the best available estimator once, in a worker thread, on first use."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._estimator: Estimator | None = None
        self._lock = anyio.Lock()

    async def get(self) -> Estimator:
        return self._estimator or await self._load()

    async def _load(self) -> Estimator:
        async with self._lock:
            if self._estimator is None:
                self._estimator = await anyio.to_thread.run_sync(partial(load, self._folder))
        return self._estimator


@cache
def _compiled() -> Callable[[str], int] | None:
    """Loads the counter alone: importing its package would unpack the ranks (70 MB, half a second)."""
    package = importlib.util.find_spec("bpe_openai")
    folders = package.submodule_search_locations if package else None
    found = importlib.machinery.PathFinder.find_spec("bpe_openai._bindings", folders) if folders else None
    if found is None or found.loader is None:
        return None
    try:
        bindings = importlib.util.module_from_spec(found)
        found.loader.exec_module(bindings)
        count: Callable[[str], int] = bindings.tokenizer_for_encoding("o200k_base").count
    except (ImportError, AttributeError, ValueError):  # another release has another layout
        return None
    return partial(_counted, count)


def _counted(count: Callable[[str], int], text: str) -> int:
    try:
        return count(text)
    except UnicodeEncodeError:  # lone surrogates, which tiktoken replaces too
        return count(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _tiktoken_has_ranks() -> bool:
    """Whether tiktoken finds its ranks on disk (it searches these folders, in this order)."""
    configured = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    cache = Path(configured) if configured is not None else Path(tempfile.gettempdir(), "data-gym-cache")
    return configured != "" and (cache / _O200K_CACHE_KEY).is_file()


def _unpacked(folder: Path) -> Path | None:
    """Unpacks the ranks from the wheel, under tiktoken's file name; tiktoken checks their hash."""
    found = importlib.util.find_spec("bpe_openai")
    if found is None or found.origin is None:
        return None
    ranks = folder / _O200K_CACHE_KEY
    if not ranks.is_file():
        packed = Path(found.origin).parent / "data" / "o200k_base.tiktoken.gz"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, delete=False) as unpacked:
                unpacked.write(gzip.decompress(packed.read_bytes()))
            os.replace(unpacked.name, ranks)
        except OSError:
            return None
    return ranks
