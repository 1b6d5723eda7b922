import json
import struct
from pathlib import Path
from typing import cast

import gguf
import numpy
import pytest

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidArgumentsError, ModelNotPulledError, UnknownModelError
from engines.models.pull import models_folder
from engines.models.shapes import CATALOGUE, find, from_folder, from_gguf, from_hf_config
from engines.models.vram import MIB, Layer, plan

SMOLLM2 = models_folder() / "smollm2-135m.gguf"
GPT_OSS_CONFIG: JsonObject = {
    "num_hidden_layers": 24,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "head_dim": 64,
    "hidden_size": 2880,
    "vocab_size": 201088,
    "sliding_window": 128,
    "layer_types": [*cast("list[JsonValue]", ["sliding_attention", "full_attention"]) * 12],
}


def write_gguf(path: Path, architecture: str, **own: int | list[int] | list[bool]) -> Path:
    """Writes a model of two tiny tensors and the given metadata with the ``gguf`` package."""
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in {"block_count": 4, "embedding_length": 64, "attention.head_count": 8, **own}.items():
        name = f"{architecture}.{key}"
        if isinstance(value, list):
            writer.add_array(name, value)
        else:
            writer.add_uint32(name, value)
    writer.add_token_list(["<s>", "bug", "feature"])
    writer.add_tensor("token_embd.weight", numpy.zeros((1000, 64), numpy.float16))
    writer.add_tensor("output_norm.weight", numpy.zeros(64, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


# GGUF


def test_the_shape_is_read_from_a_gguf_file(tmp_path: Path):
    shape = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", **{"attention.head_count_kv": 2}))
    assert shape.layers == (Layer(2, 8, 8),) * 4
    assert (shape.name, shape.vocabulary, shape.embedding) == ("m.gguf", 1000, 64)
    assert shape.weights == 1000 * 64 * 2 + 64 * 4


def test_heads_may_differ_between_layers_and_be_missing(tmp_path: Path):
    own = {"attention.head_count_kv": [2, 0, 4, 2], "attention.key_length": 16, "attention.value_length": 12}
    shape = from_gguf(write_gguf(tmp_path / "m.gguf", "llama", **own))
    assert shape.layers == (Layer(2, 16, 12), Layer(4, 16, 12), Layer(2, 16, 12))


def test_without_kv_heads_all_heads_have_a_cache(tmp_path: Path):
    assert from_gguf(write_gguf(tmp_path / "m.gguf", "llama")).layers == (Layer(8, 8, 8),) * 4


@pytest.mark.parametrize(
    ("architecture", "pattern", "windows"),
    [
        ("gpt-oss", None, [9, 0, 9, 0]),
        ("gemma3", None, [9, 9, 9, 9]),
        ("unheard-of", None, [0, 0, 0, 0]),
        ("gemma4", [True, True, False, True], [9, 9, 0, 9]),
        ("cohere2", 2, [9, 0, 9, 0]),
    ],
)
def test_windows_go_by_the_file_then_by_the_architecture(
    tmp_path: Path, architecture: str, pattern: list[bool] | int | None, windows: list[int]
):
    own: dict[str, int | list[int] | list[bool]] = {"attention.sliding_window": 9}
    if pattern is not None:
        own["attention.sliding_window_pattern"] = pattern
    shape = from_gguf(write_gguf(tmp_path / "m.gguf", architecture, **own))
    assert [layer.window for layer in shape.layers] == windows


@pytest.mark.model
@pytest.mark.skipif(not SMOLLM2.exists(), reason="needs the embedded model's weights")
def test_a_real_file_gives_what_llama_cpp_logs_for_it():
    """Its log at 8192 tokens: model buffer 92.10 MiB, KV buffer 180.00 MiB."""
    shape = from_gguf(SMOLLM2)
    made = plan(shape, context=2048, parallel=4, total_gib=1)
    assert made.weights / MIB == pytest.approx(92.10, abs=0.01)
    assert made.kv_cache == 180 * MIB


def test_one_part_of_a_model_is_refused(tmp_path: Path):
    path = tmp_path / "part.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint16("split.count", 3)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(InvalidArgumentsError, match="one part"):
        from_gguf(path)


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x03\x04 something else", b"GGUF\x03\x00\x00\x00", b"GGUF" + struct.pack("<IQQ", 3, 0, 2**40)],
    ids=["empty", "other", "cut", "endless"],
)
def test_what_is_no_gguf_file_is_refused(tmp_path: Path, content: bytes):
    path = tmp_path / "m.gguf"
    path.write_bytes(content)
    with pytest.raises(InvalidArgumentsError, match=r"m\.gguf cannot be read"):
        from_gguf(path)


def test_incomplete_metadata_is_refused(tmp_path: Path):
    path = write_gguf(tmp_path / "m.gguf", "llama", block_count=[4, 4])
    with pytest.raises(InvalidArgumentsError, match="block_count"):
        from_gguf(path)


# Hugging Face


def test_the_catalogue_matches_the_published_config():
    assert from_hf_config(GPT_OSS_CONFIG, 13_793_441_244, name="gpt-oss:20b") == CATALOGUE["gpt-oss:20b"]


@pytest.mark.parametrize(
    ("changes", "windows"),
    [
        ({"layer_types": None, "num_hidden_layers": 3}, [128] * 3),
        ({"layer_types": None, "num_hidden_layers": 3, "use_sliding_window": False}, [0] * 3),
        ({"layer_types": None, "num_hidden_layers": 3, "sliding_window_pattern": 3}, [128, 128, 0]),
        ({"layer_types": ["linear_attention", "full_attention", "chunked_attention"]}, [0, 128]),
        ({"sliding_window": None, "layer_types": ["full_attention"] * 2}, [0, 0]),
    ],
)
def test_windows_of_a_config(changes: dict[str, JsonValue], windows: list[int]):
    shape = from_hf_config({**GPT_OSS_CONFIG, **changes}, 1, name="m")
    assert [layer.window for layer in shape.layers] == windows


def test_a_config_may_wrap_its_text_model_and_leave_out_what_follows_from_the_rest():
    text: JsonObject = {"num_hidden_layers": 2, "num_attention_heads": 4, "hidden_size": 64, "vocab_size": 10}
    assert from_hf_config({"text_config": text}, 1, name="m").layers == (Layer(4, 16, 16),) * 2


def test_latent_attention_caches_one_vector():
    latent: JsonObject = {"kv_lora_rank": 512, "qk_rope_head_dim": 64, "layer_types": ["full_attention"]}
    assert from_hf_config(GPT_OSS_CONFIG | latent, 1, name="m").layers == (Layer(1, 576, 0),)


def test_a_folder_gives_config_and_weights(tmp_path: Path):
    (tmp_path / "config.json").write_text(json.dumps(GPT_OSS_CONFIG))
    for part in ("a", "b"):
        (tmp_path / f"{part}.safetensors").write_bytes(b"1234")
    assert from_folder(tmp_path).weights == 8
    assert find(str(tmp_path)).name == tmp_path.name
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(InvalidArgumentsError, match="not JSON"):
        find(str(tmp_path))


# Names


def test_a_name_or_a_path_is_found(tmp_path: Path):
    assert find("gpt-oss:20b") is CATALOGUE["gpt-oss:20b"]
    assert find(str(write_gguf(tmp_path / "m.gguf", "llama"))).name == "m.gguf"
    with pytest.raises(ModelNotPulledError):
        find(str(tmp_path / "gone.gguf"))


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(UnknownModelError, match="nope") as caught:
        find("nope")
    assert "gpt-oss:20b" in caught.value.hint
