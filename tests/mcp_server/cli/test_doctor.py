"""``doctor`` at replayed and scripted servers: which models it names, and why."""

import json
import os
from pathlib import Path

import anyio
import pytest

from tests.engines import openai_double
from tests.engines.ollama_replay import serving
from tests.mcp_server.cli.machine import Machine, machine
from tests.mcp_server.cli.test_cli import SCRIPT

__all__ = ["machine"]

pytestmark = pytest.mark.anyio


async def findings(folder: Path, **variables: str) -> dict[str, tuple[str, str]]:
    """Returns what ``doctor`` found, and its hint, by the name of the finding."""
    homes = {f"XDG_{kind}_HOME": str(folder) for kind in ("CACHE", "CONFIG", "DATA")}
    environment = {**os.environ, **homes, "XDG_RUNTIME_DIR": str(folder), **variables}
    with anyio.fail_after(60):
        done = await anyio.run_process([SCRIPT, "doctor", "--json"], cwd=folder, env=environment, check=False)
    return {each["what"]: (each["found"], each["hint"]) for each in json.loads(done.stdout)["findings"]}


async def test_it_says_which_model_of_an_ollama_answers_and_why(tmp_path: Path):
    async with serving() as replay:
        replay.offer("qwen3:4b", billions=4.0, gib=2.5)
        replay.offer("qwen3:8b", billions=8.2, gib=4.9)
        replay.offer("qwen3:32b", billions=32.8, gib=18.8)
        replay.offer("bge-m3", billions=0.57, gib=1.1, capabilities=["embedding"])
        settings = {"LOCAL_LLM_ENGINE": "auto", "LOCAL_LLM_OLLAMA__URL": replay.url}
        settings |= {"LOCAL_LLM_VLLM__URL": "http://127.0.0.1:9/v1"}
        found = await findings(tmp_path, **settings)
        engine, why = found["engine ollama"]
        assert engine.startswith("qwen3:8b, ")
        assert engine.endswith("embed by bge-m3")
        assert "qwen3:8b: the best of 3 chat models that fits in 16 GiB (8.2B Q4_K_M, " in why
        assert "qwen3:4b for the small tier" in why
        assert found["tier small"][0].startswith("ollama qwen3:4b")
        assert found["tier main"][0].startswith("ollama qwen3:8b")
        found = await findings(tmp_path, **settings, LOCAL_LLM_VRAM__TOTAL_GIB="64")
        assert found["tier main"][0].startswith("ollama qwen3:32b")


async def test_it_says_what_a_server_was_found_to_do(tmp_path: Path):
    async with openai_double.serving(openai_double.Double(lacks=frozenset({"tools"}))) as double:
        settings = {"LOCAL_LLM_ENGINE": "openai", "LOCAL_LLM_OPENAI__URL": double.url}
        found = await findings(tmp_path, **settings)
    able = "json_schema, choice, logprobs, embed by text-embedding-minilm"
    assert found["engine openai"][0] == f"{openai_double.MODEL}, 8192 tokens, {able}"


async def test_its_sentences_fit_a_small_screen(machine: Machine):
    for client in ("claude-code", "gemini", "codex", "cursor"):
        await machine.run("register", client, "--scope", "user")
    for done in (await machine.run("doctor"), await machine.run("doctor", LOCAL_LLM_ENGINE="scripted")):
        lines = done.out.splitlines()
        assert len(lines) <= 24
        assert max(map(len, lines)) <= 80
        assert done.out.count(": 4 tools after ") == 4


async def test_its_sentences_say_what_answers_and_what_to_do(machine: Machine):
    done = await machine.run("doctor", LOCAL_LLM_ENGINE="scripted")
    assert " works\n" in done.out
    assert "scripted in scripted answers every call" in done.out
    assert "register claude-code" in done.out
    done = await machine.run("doctor")
    assert done.code == 1
    assert " cannot answer yet\n" in done.out
    assert "local-llm-agent models pull" in done.out


async def test_its_details_show_every_finding(machine: Machine):
    done = await machine.run("doctor", "--details", LOCAL_LLM_ENGINE="scripted")
    findings = json.loads((await machine.run("doctor", "--json", LOCAL_LLM_ENGINE="scripted")).out)[
        "findings"
    ]
    for finding in findings:
        assert finding["what"] in done.out
