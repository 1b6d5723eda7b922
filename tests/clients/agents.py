"""Sets up and runs each real client without an account and without user input."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from tests.clients import packages
from tests.clients.sandbox import NAME, Ran, Sandbox

PROMPT = "Sort the lines of service.log."


@dataclass(frozen=True, slots=True)
class Agent:
    name: str
    """Name for ``register``."""
    launcher: tuple[str, ...]
    question: tuple[str, ...]
    """Arguments that ask one question and exit."""
    tool: str
    """Format of our tools' names as its model sees them."""
    settle: Callable[[Sandbox, str], None]
    """Writes the client's other settings, for a model at this address."""
    environment: Callable[[str], dict[str, str]]

    async def ask(self, box: Sandbox, model: str, **extra: str) -> Ran:
        """Asks one question, which the model at ``model`` answers with the client's tools."""
        command = [*self.launcher, *self.question, PROMPT]
        return await box.run(command, {**self.environment(model), **extra})

    async def listed(self, box: Sandbox, model: str, **extra: str) -> Ran:
        """Returns the client's list of its servers."""
        return await box.run([*self.launcher, "mcp", "list"], {**self.environment(model), **extra})


def _settle_claude(box: Sandbox, model: str) -> None:
    trusted = {
        "hasCompletedOnboarding": True,
        "projects": {str(box.project): {"hasTrustDialogAccepted": True}},
    }
    box.write(box.home / ".claude.json", json.dumps(trusted))
    allowed = {"enabledMcpjsonServers": [NAME], "permissions": {"allow": [f"mcp__{NAME}"]}}
    box.write(box.project / ".claude" / "settings.local.json", json.dumps(allowed))


def _settle_gemini(box: Sandbox, model: str) -> None:
    settings = {
        "security": {"auth": {"selectedType": "gemini-api-key"}, "folderTrust": {"enabled": False}},
        "privacy": {"usageStatisticsEnabled": False},
        "general": {"enableAutoUpdate": False},
    }
    box.write(box.home / ".gemini" / "settings.json", "// mine\n" + json.dumps(settings, indent=4))


def _settle_codex(box: Sandbox, model: str) -> None:
    box.write(
        box.home / ".codex" / "config.toml",
        f"""\
model = "scripted" # mine
model_provider = "scripted"

[model_providers.scripted]
name = "scripted"
base_url = "{model}/v1"
wire_api = "responses"
env_key = "SCRIPTED_KEY"

[projects."{box.project}"]
trust_level = "trusted"
""",
    )


CLAUDE_CODE = Agent(
    "claude-code",
    packages.CLAUDE,
    ("-p",),
    f"mcp__{NAME}__{{}}",
    _settle_claude,
    lambda model: {
        "ANTHROPIC_BASE_URL": model,
        "ANTHROPIC_API_KEY": "none",
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    },
)
# A named model: otherwise another model is asked first to choose one.
GEMINI = Agent(
    "gemini",
    packages.GEMINI,
    ("--approval-mode", "yolo", "-m", "gemini-2.5-flash", "-p"),
    f"mcp_{NAME}_{{}}",
    _settle_gemini,
    lambda model: {"GOOGLE_GEMINI_BASE_URL": model, "GEMINI_API_KEY": "none"},
)
CODEX = Agent(
    "codex",
    packages.CODEX,
    ("exec", "--skip-git-repo-check"),
    f"mcp__{NAME.replace('-', '_')}/{{}}",
    _settle_codex,
    lambda model: {"SCRIPTED_KEY": "none"},
)
AGENTS = (CLAUDE_CODE, GEMINI, CODEX)
