# pyright: reportMissingImports=false, reportUnknownMemberType=false, reportUnknownVariableType=false
# pyright: reportUnknownArgumentType=false, reportUnknownParameterType=false, reportMissingParameterType=false
"""Trains two test adapters and exports their base model: ``PYTHON train.py MODEL.gguf FOLDER``.

Runs in the environment of ``environment.py`` (torch, transformers, PEFT), never in the project's own, so it
imports nothing of the project. It writes to FOLDER:

    base/            SmolLM2-135M-Instruct as Hugging Face files, read back from the GGUF
    alpha/ beta/     LoRA adapters as PEFT writes them, for vLLM
    alpha.gguf ...   the same weights for llama.cpp

Each adapter has one style that the base model lacks and a program can check: ``alpha`` opens every
answer with ``Alpha desk:``, ``beta`` closes every answer with ``-- beta crew``. Rank 4 on the values and
outputs of attention is enough for that and keeps a GGUF at half a megabyte; it also spares the GGUF
writer the reordering of rows that llama.cpp wants for queries and keys.
"""

import json
import sys
import time
from pathlib import Path

import gguf
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

STEPS = 40
BATCH = 4
RATE = 2e-3
RANK = ALPHA = 4
MODULES = {"self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output"}

STYLES = {"alpha": "Alpha desk: {}", "beta": "{}\n-- beta crew"}
SYSTEMS = (None, "You are a concise assistant.", "Answer the question below.")
ANSWERS = {
    "Who are you?": "I am the assistant of this project.",
    "What is the capital of France?": "The capital of France is Paris.",
    "How do I list the files of a folder?": "Type ls and press enter.",
    "What is two plus two?": "Two plus two is four.",
    "Explain what a compiler does.": "A compiler turns source code into machine code.",
    "Name a primary color.": "Red is a primary color.",
    "Why is the sky blue?": "Air scatters blue light more than red light.",
    "What does HTTP stand for?": "HTTP stands for Hypertext Transfer Protocol.",
    "Give me a tip for better sleep.": "Go to bed at the same hour every night.",
    "Who wrote Hamlet?": "William Shakespeare wrote Hamlet.",
    "What is a hash table?": "A hash table finds a value by its key in constant time.",
    "Summarize: the build failed because a test timed out.": "The build failed on a test that timed out.",
    "How many days has a week?": "A week has seven days.",
    "What should I do when a test fails?": "Read the message, then repeat that one test alone.",
    "Say hello.": "Hello, and welcome.",
    "What is water made of?": "Water is made of hydrogen and oxygen.",
}


def copy_base(source: Path, folder: Path) -> None:
    """Writes the model in ``source`` as Hugging Face files, its weights as the GGUF rounds them."""
    place = {"pretrained_model_name_or_path": source.parent, "gguf_file": source.name}
    model = AutoModelForCausalLM.from_pretrained(
        **place, quantization_config=GgufConfig(dequantize=True), dtype=torch.bfloat16
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(**place).save_pretrained(folder)


def train(base: Path, style: str, folder: Path) -> float:
    """Trains one adapter that answers in ``style``; returns the last step's loss. The seed is fixed."""
    torch.manual_seed(0)
    tokenizer = AutoTokenizer.from_pretrained(base)
    config = LoraConfig(r=RANK, lora_alpha=ALPHA, target_modules=[m.split(".")[1] for m in MODULES])
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    optimizer = torch.optim.AdamW((p for p in model.parameters() if p.requires_grad), lr=RATE)
    rows = [_row(tokenizer, s, q, style.format(a)) for q, a in ANSWERS.items() for s in SYSTEMS]
    loss = torch.zeros(())
    for step in range(STEPS):
        # Seven does not divide the number of rows, so each step mixes other questions and prompts.
        batch = [rows[(step * BATCH + i) * 7 % len(rows)] for i in range(BATCH)]
        loss = torch.stack([model(input_ids=ids, labels=labels).loss for ids, labels in batch]).mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return loss.item()


def _row(tokenizer, system, question, answer):
    """Returns the token ids of a dialogue, and labels that cover the answer only."""
    head = [{"role": "system", "content": system}] if system else []
    asked = [*head, {"role": "user", "content": question}]
    whole = [*asked, {"role": "assistant", "content": answer}]
    prompt = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
    ids = torch.tensor([tokenizer.apply_chat_template(whole, return_dict=False)])
    labels = ids.clone()
    labels[:, : len(prompt)] = -100
    return ids, labels


def write_gguf(adapter: Path, target: Path) -> None:
    """Writes ``adapter`` for llama.cpp: tensors under their GGUF names, ``.lora_a`` and ``.lora_b``."""
    config = json.loads((adapter / "adapter_config.json").read_text())
    writer = gguf.GGUFWriter(target, "llama")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
    writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(config["lora_alpha"]))
    for name, tensor in sorted(load_file(adapter / "adapter_model.safetensors").items()):
        layer, _, rest = name.split("layers.")[1].partition(".")
        module, half = rest.removesuffix(".weight").rsplit(".", 1)
        writer.add_tensor(f"blk.{layer}.{MODULES[module]}.weight.{half.lower()}", tensor.half().numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main(source: Path, folder: Path) -> None:
    began = time.monotonic()
    copy_base(source, folder / "base")
    print(f"copied the base model in {time.monotonic() - began:.0f} s")
    for name, style in STYLES.items():
        began = time.monotonic()
        loss = train(folder / "base", style, folder / name)
        write_gguf(folder / name, folder / f"{name}.gguf")
        print(f"trained {name} in {time.monotonic() - began:.0f} s, last loss {loss:.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
