"""Estimates the memory of a model on its device: weights, KV cache and compute buffer.

The weights take their size in the file. The cache takes, summed over the layers,

    2 (K and V) x kv_heads x head_size x tokens x bytes per element

with ``context`` tokens for each of ``parallel`` requests, or ``window`` tokens in a layer with a
sliding window. llama.cpp, and Ollama with it, allocates the same; its logs confirm it for
SmolLM2-135M and GPT-OSS 20B (``tests/engines/models/test_vram.py``, ``test_shapes.py``).

The buffer is an upper estimate. Its first part, 4 x 512 x (vocabulary + embedding) bytes, is
llama.cpp's compute buffer at the output layer for 512 prompt tokens (the same term is in Ollama's
fs/ggml/ggml.go, GraphSize); recent versions need less. The second part is the cache beyond a
sliding window: 512 more tokens, rounded up to 256. The driver's own memory is not included:
``total_gib`` is the memory available to the model.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil

from engines.errors import InvalidArgumentsError

MB, GB = 10**6, 10**9
MIB, GIB = 2**20, 2**30

BATCH = 512
"""Prompt tokens computed at once, llama.cpp's default ``n_ubatch``."""

CELLS = 256
"""llama.cpp rounds cache lengths up to a multiple of this."""

ELEMENT = 2
"""Bytes per element of the cache, f16."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The KV cache of one layer per token, in elements."""

    kv_heads: int
    key_size: int
    value_size: int
    window: int = 0
    """Sliding attention window in tokens; 0 for full attention."""

    @property
    def elements(self) -> int:
        return self.kv_heads * (self.key_size + self.value_size)

    def tokens(self, context: int) -> int:
        return min(context, self.window) if self.window else context

    def slack(self, context: int) -> int:
        """Returns the tokens cached beyond the window while a prompt is processed."""
        if not self.window:
            return 0
        return min(context, ceil((self.window + BATCH) / CELLS) * CELLS) - self.tokens(context)


@dataclass(frozen=True, slots=True)
class ModelShape:
    name: str
    weights: int
    """Bytes."""
    layers: tuple[Layer, ...]
    vocabulary: int
    embedding: int


@dataclass(frozen=True, slots=True)
class Plan:
    """All sizes in bytes."""

    model: str
    weights: int
    kv_cache: int
    buffer: int
    available: int
    explain: tuple[str, ...]
    """The calculation of each number, one line each."""

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.buffer

    @property
    def fits(self) -> bool:
        return self.total <= self.available


def plan(shape: ModelShape, *, context: int, parallel: int, total_gib: float) -> Plan:
    """Estimates the memory for ``parallel`` requests of ``context`` tokens each, compared with ``total_gib``.

    Raises:
        InvalidArgumentsError: a number is not positive.
    """
    if min(context, parallel, total_gib) <= 0:
        raise InvalidArgumentsError("a plan needs positive numbers")
    kv_cache = sum(layer.elements * layer.tokens(context) for layer in shape.layers) * ELEMENT * parallel
    slack = sum(layer.elements * layer.slack(context) for layer in shape.layers) * ELEMENT * parallel
    compute = 4 * BATCH * (shape.vocabulary + shape.embedding)
    explain = (
        f"weights {amount(shape.weights)}: as stored",
        f"cache {amount(kv_cache)}: ({' + '.join(_terms(shape.layers, context))})"
        f" x {parallel} requests x {ELEMENT} bytes",
        f"buffer {amount(compute + slack)}: 4 x {BATCH} x ({shape.vocabulary} + {shape.embedding}) bytes to"
        f" compute in, {amount(slack)} beyond windows",
    )
    available = int(total_gib * GIB)
    return Plan(shape.name, shape.weights, kv_cache, compute + slack, available, explain)


def amount(size: int) -> str:
    """Formats ``size`` bytes in decimal and binary units."""
    if size < GB / 10:
        return f"{size / MB:.1f} MB ({size / MIB:.1f} MiB)"
    return f"{size / GB:.2f} GB ({size / GIB:.2f} GiB)"


def _terms(layers: Sequence[Layer], context: int) -> Iterator[str]:
    for layer, count in Counter(layers).items():
        yield (
            f"{count} layers x {layer.kv_heads} heads x ({layer.key_size} + {layer.value_size})"
            f" x {layer.tokens(context)} tokens"
        )
