"""Converts a BERT sentence-embedding checkpoint (safetensors) to GGUF for llama.cpp.

Names, types and tokenizer follow llama.cpp's own converter: matrices in 16 bits, vectors and the
two small embedding tables in 32. The output is deterministic.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    import gguf

FILES = ("config.json", "vocab.txt", "model.safetensors")
SPECIAL = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}
NARROW = {"token_types.weight", "position_embd.weight"}
WORD_START = "\u2581"


def convert(checkpoint: Path, target: Path, name: str) -> None:
    """Writes ``checkpoint`` (a folder with ``FILES``) to ``target``.

    The result pools by the mean over all tokens, as sentence-transformers does for this family.
    """
    import gguf

    config = cast("dict[str, int | float]", json.loads((checkpoint / "config.json").read_bytes()))
    writer = gguf.GGUFWriter(target, "bert")
    _add_shape(writer, config, name)
    _add_vocabulary(writer, (checkpoint / "vocab.txt").read_text("utf-8").split())
    writer.add_token_type_count(int(config["type_vocab_size"]))
    _add_tensors(writer, checkpoint / "model.safetensors", int(config["num_hidden_layers"]))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_shape(writer: "gguf.GGUFWriter", config: dict[str, int | float], name: str) -> None:
    import gguf

    writer.add_name(name)
    writer.add_context_length(int(config["max_position_embeddings"]))
    writer.add_embedding_length(int(config["hidden_size"]))
    writer.add_feed_forward_length(int(config["intermediate_size"]))
    writer.add_block_count(int(config["num_hidden_layers"]))
    writer.add_head_count(int(config["num_attention_heads"]))
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)


def _add_vocabulary(writer: "gguf.GGUFWriter", words: list[str]) -> None:
    """Writes WordPiece tokens for llama.cpp: word starts are marked, not continuations (``##``)."""
    import gguf

    control, normal = gguf.TokenType.CONTROL, gguf.TokenType.NORMAL
    writer.add_tokenizer_model("bert")
    writer.add_token_list([w if w in SPECIAL else _piece(w) for w in words])
    writer.add_token_types([control if w in SPECIAL else normal for w in words])
    writer.add_pad_token_id(words.index("[PAD]"))
    writer.add_unk_token_id(words.index("[UNK]"))
    writer.add_bos_token_id(words.index("[CLS]"))
    writer.add_sep_token_id(words.index("[SEP]"))
    writer.add_eos_token_id(words.index("[SEP]"))
    writer.add_mask_token_id(words.index("[MASK]"))


def _piece(word: str) -> str:
    return word[2:] if word.startswith("##") else WORD_START + word


def _add_tensors(writer: "gguf.GGUFWriter", weights: Path, layers: int) -> None:
    import gguf
    import numpy as np
    from safetensors.numpy import load_file  # pyright: ignore[reportUnknownVariableType]

    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.BERT, layers)
    for key, tensor in sorted(load_file(weights).items()):
        # The pooler is a classification head; position_ids merely count.
        if key.startswith("pooler.") or key.endswith("position_ids"):
            continue
        name = names.get_name(key, try_suffixes=(".weight", ".bias"))
        assert name is not None, f"no GGUF name for {key}"
        wide = tensor.ndim > 1 and name not in NARROW
        writer.add_tensor(name, tensor.astype(np.float16 if wide else np.float32))
