"""Tests clients of ``/v1``: OpenAI's for JavaScript, llm, and Codex with our server as its model."""

import json
from pathlib import Path

import pytest

from tests.clients import packages
from tests.clients.agents import CODEX
from tests.clients.sandbox import Sandbox
from tests.clients.serving import TOKEN, serving

pytestmark = [pytest.mark.anyio, pytest.mark.clients]

SCRIPT = Path(__file__).with_name("openai_client.cjs")


async def test_the_javascript_client_of_openai(box: Sandbox) -> None:
    async with serving(box) as url:
        ran = await box.run(["node", str(SCRIPT), f"{url}/v1", TOKEN], {"NODE_PATH": packages.module()})
    assert ran.code == 0, ran
    said = json.loads(ran.out)
    assert said["models"][:3] == ["auto", "small", "main"]
    assert said["whole"] == "Name a colour."
    assert said["receipt"]["engine"] == "scripted"
    assert said["responded"] == "Name a colour."
    assert said["streamed"]["text"] == "Name a colour."
    assert said["streamed"]["usage"]["completion_tokens"] > 0
    assert said["promised"]["colour"] in {"red", "blue"}
    assert said["called"]["name"] == "paint"
    assert json.loads(said["called"]["arguments"])["colour"] in {"red", "blue"}
    assert said["unknown"] == {"status": 404, "code": "model_not_found", "name": "NotFoundError"}
    assert said["stranger"]["status"] == 401


@pytest.mark.parametrize("way", [["--no-stream"], []], ids=["whole", "streamed"])
async def test_llm(box: Sandbox, way: list[str]) -> None:
    async with serving(box) as url:
        ran = await box.run(llm(box, url, *way, "Name a colour."), user(box))
        promised = await box.run(
            llm(box, url, *way, "--schema", "colour, count int", "Blue, twice."), user(box)
        )
    assert (ran.code, ran.out.strip()) == (0, "Name a colour."), ran
    assert set(json.loads(promised.out)) == {"colour", "count"}, promised


def user(box: Sandbox) -> dict[str, str]:
    return {"LLM_USER_PATH": str(box.home / "llm")}


def llm(box: Sandbox, url: str, *arguments: str) -> list[str]:
    """Returns a command that asks a model from `llm`'s settings file."""
    settings = {
        "model_id": "local",
        "model_name": "auto",
        "api_base": f"{url}/v1",
        "api_key_name": "local",
        "supports_schema": True,
    }
    # YAML is a superset of JSON.
    box.write(box.home / "llm" / "extra-openai-models.yaml", json.dumps([settings]))
    return [str(packages.FOLDER / "python" / "bin" / "llm"), "-m", "local", "--key", TOKEN, *arguments]


async def test_codex_with_a_local_model_through_responses(box: Sandbox) -> None:
    """Codex asks, runs the tool call it gets, returns the result and shows the answer."""
    async with serving(box) as url:
        CODEX.settle(box, url)
        settings = box.home / ".codex" / "config.toml"
        settings.write_text(settings.read_text().replace('model = "scripted"', 'model = "main"', 1))
        ran = await box.run([*CODEX.launcher, *CODEX.question, "Say hello."], {"SCRIPTED_KEY": TOKEN})
    assert ran.code == 0, ran
    assert ran.out.strip() == "Say hello."
    assert "succeeded in" in ran.err
