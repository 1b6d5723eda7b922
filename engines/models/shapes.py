"""Reads model shapes from GGUF files, Hugging Face folders and a catalogue."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError, UnknownModelError
from engines.models import pull as models
from engines.models.gguf_header import read_header
from engines.models.vram import Layer, ModelShape

WINDOW_PERIODS = {"gpt-oss": 2, "gptoss": 2, "gemma2": 2, "gemma3": 6, "cohere2": 4}
"""Attention window period by architecture, if the file omits it: all but every n-th layer (llama.cpp)."""


def find(model: str) -> ModelShape:
    """Returns the shape of a catalogue name (here or the embedded engine's), GGUF file or folder.

    Blocks while reading files.

    Raises:
        InvalidArgumentsError: the file or folder cannot be read as a model.
        ModelNotPulledError: the model is known, but its file is not on this machine.
        UnknownModelError: ``model`` is none of these.
    """
    if model in CATALOGUE:
        return CATALOGUE[model]
    folder = Path(model).expanduser()
    if (folder / "config.json").is_file():
        return from_folder(folder)
    try:
        card = models.find(model)
    except UnknownModelError as error:
        names = ", ".join([*CATALOGUE, *models.CATALOGUE])
        raise UnknownModelError(
            f"no shape is known for {model!r}",
            hint=f"give a GGUF file, a folder with config.json, or one of {names}",
        ) from error
    return from_gguf(models.path_of(card))


def from_gguf(path: Path) -> ModelShape:
    """Returns the shape of the model in a GGUF file.

    Raises:
        InvalidArgumentsError: not a GGUF file, a part of one, or metadata is missing.
    """
    header = read_header(path)
    if cast("int", header.metadata.get("split.count", 0)) > 1:
        raise InvalidArgumentsError(
            f"{path} is one part of a model", hint="join it: llama-gguf-split --merge"
        )
    return from_metadata(path.name, header.data_bytes, header.metadata, header.shapes)


def from_folder(folder: Path) -> ModelShape:
    """Returns the shape of a Hugging Face model folder: ``config.json`` and safetensors files.

    Raises:
        InvalidArgumentsError: ``config.json`` is not JSON, or lacks values.
    """
    try:
        config = cast("JsonObject", json.loads((folder / "config.json").read_text("utf-8")))
    except ValueError as error:
        raise InvalidArgumentsError(f"{folder / 'config.json'} is not JSON: {error}") from error
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return from_hf_config(config, weights, name=folder.name)


def from_hf_config(config: JsonObject, weights: int, *, name: str) -> ModelShape:
    """Returns the shape described by a ``config.json``; ``weights`` in bytes.

    Raises:
        InvalidArgumentsError: values are missing.
    """
    text = cast("JsonObject", config.get("text_config") or config)
    heads, embedding = _number(text, "num_attention_heads"), _number(text, "hidden_size")
    size = cast("int", text.get("head_dim") or embedding // heads)
    layer = Layer(cast("int", text.get("num_key_value_heads") or heads), size, size)
    if latent := cast("int", text.get("kv_lora_rank") or 0):
        # Multi-head latent attention caches one compressed vector instead of heads (DeepSeek-V2, 2.1).
        layer = Layer(1, latent + _number(text, "qk_rope_head_dim"), 0)
    layers = tuple(replace(layer, window=window) for window in _hf_windows(text))
    return ModelShape(name, weights, layers, _number(text, "vocab_size"), embedding)


def _hf_windows(text: JsonObject) -> Iterator[int]:
    """Yields the attention window of each layer with a cache; 0 for full attention."""
    count = _number(text, "num_hidden_layers")
    window = cast("int", text.get("sliding_window") or 0) if text.get("use_sliding_window", True) else 0
    period = cast("int", text.get("sliding_window_pattern") or 0)
    periodic = ["full_attention" if period and i % period == period - 1 else "" for i in range(count)]
    for kind in cast("list[str]", text.get("layer_types") or periodic):
        if kind != "linear_attention":
            yield 0 if kind == "full_attention" else window


def from_metadata(
    name: str, weights: int, info: Mapping[str, JsonValue], shapes: Mapping[str, Sequence[int]]
) -> ModelShape:
    """Returns the shape from GGUF metadata.

    A layer without heads is recurrent; its small constant state is ignored.
    """
    prefix = str(info.get("general.architecture"))
    own = {key.removeprefix(f"{prefix}."): value for key, value in info.items() if value is not None}
    count, embedding = _number(own, "block_count"), _number(own, "embedding_length")
    heads = _per_layer(own, "attention.head_count", count)
    kv_heads = (
        _per_layer(own, "attention.head_count_kv", count) if "attention.head_count_kv" in own else heads
    )
    size = embedding // (max(heads) or 1)
    key = cast("int", own.get("attention.key_length", size))
    value = cast("int", own.get("attention.value_length", size))
    windows = _gguf_windows(own, prefix, count)
    layers = (Layer(n, key, value, window) for n, window in zip(kv_heads, windows, strict=True) if n)
    vocabulary = (
        shapes["token_embd.weight"][1] if "token_embd.weight" in shapes else _number(own, "vocab_size")
    )
    return ModelShape(name, weights, tuple(layers), vocabulary, embedding)


def _gguf_windows(own: Mapping[str, JsonValue], architecture: str, count: int) -> Iterator[int]:
    """Yields the window of each layer; without a known pattern none has one, which is an upper bound."""
    window = cast("int", own.get("attention.sliding_window", 0))
    pattern = own.get("attention.sliding_window_pattern", WINDOW_PERIODS.get(architecture, 1))
    for index in range(count):
        if isinstance(pattern, list):
            yield window if pattern[index] else 0
        else:
            period = cast("int", pattern)
            yield 0 if index % period == period - 1 else window


def _per_layer(own: Mapping[str, JsonValue], key: str, count: int) -> list[int]:
    """Returns a number per layer; files contain one for all layers, or a list."""
    value = own.get(key)
    return cast("list[int]", value) if isinstance(value, list) else [_number(own, key)] * count


def _number(values: Mapping[str, JsonValue], key: str) -> int:
    value = values.get(key)
    if not isinstance(value, int):
        raise InvalidArgumentsError(f"the model's metadata has no number {key!r}")
    return value


CATALOGUE: Mapping[str, ModelShape] = {
    # Shape: config.json of openai/gpt-oss-20b, which alternates layers with and without a window.
    # Weights: the size Ollama lists for gpt-oss:20b (MXFP4), 14 GB in its library.
    "gpt-oss:20b": ModelShape(
        "gpt-oss:20b",
        weights=13_793_441_244,
        layers=(Layer(8, 64, 64, window=128), Layer(8, 64, 64)) * 12,
        vocabulary=201_088,
        embedding=2880,
    ),
}
