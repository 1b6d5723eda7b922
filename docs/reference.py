"""Writes docs/settings.md from the settings themselves: ``python -P docs/reference.py``."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from engines.settings import TierSettings
from mcp_server.settings import DEFAULT_TIERS, PROJECT_SECTIONS, ProjectSettings, Settings

PAGE = Path(__file__).with_name("settings.md")

HEAD = """# Settings

Made by `docs/reference.py` from the settings themselves; do not edit by hand.

Read in this order, the later winning: the defaults below; `config.toml` in your own config folder
(Linux: `~/.config/local-llm-agent/`, macOS: `~/Library/Application Support/local-llm-agent/`;
`LOCAL_LLM_CONFIG` names another file); `local-llm-agent.toml` at the root of the project; environment
variables; flags. A variable is `LOCAL_LLM_` and the key, two underscores for each dot:
`LOCAL_LLM_OLLAMA__MODEL=qwen3:4b`. A key that does not exist is an error that names its file.
`local-llm-agent doctor` says what is in force and what it leads to.

A project's file comes with the repository, so it sets only what is marked *project*: not who may read
what, not another machine's address, and no file as a model, unless your own file says the same.

```toml
# ~/.config/local-llm-agent/config.toml: a larger model in Ollama for long work, a small one for labels
engine = "ollama"

[tiers.small]
model = "qwen3:4b"

[tiers.main]
model = "gpt-oss:20b"

[projects.erp]
paths = ["~/work/erp"]
adapter = "erp"
```
"""


def page() -> str:
    sections = [_section("", Settings.model_fields)]
    for name, field in Settings.model_fields.items():
        below = _model(name, field)
        if below is not None:
            sections.append(_section(_title(name), below.model_fields))
    return "\n".join([HEAD, *sections])


def _title(name: str) -> str:
    return {"tiers": "tiers.NAME", "projects": "projects.NAME"}.get(name, name)


def _model(name: str, field: FieldInfo) -> type[BaseModel] | None:
    named = {"tiers": TierSettings, "projects": ProjectSettings}.get(name)
    kind = field.annotation
    return named or (kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None)


def _section(title: str, fields: dict[str, FieldInfo]) -> str:
    lines = [f"## {f'[{title}]' if title else 'At the top'}", ""]
    if title.partition(".")[0] in PROJECT_SECTIONS:
        lines += ["*project*", ""]
    lines += ["| key | default | what |", "|---|---|---|"]
    return "\n".join([*lines, *_rows(title, fields)]) + "\n"


def _rows(title: str, fields: dict[str, FieldInfo]) -> Iterator[str]:
    for name, field in fields.items():
        if _model(name, field) is None:
            mark = " *project*" if not title and name in PROJECT_SECTIONS else ""
            yield f"| `{name}` | {_default(title, name, field)} | {field.description}{mark} |"


def _default(title: str, name: str, field: FieldInfo) -> str:
    if title.startswith("tiers"):
        told = {tier: values.get(name) for tier, values in DEFAULT_TIERS.items()}
        return ", ".join(f"{tier} {_shown(value)}" for tier, value in told.items() if value is not None)
    default: Any = field.get_default(call_default_factory=True)
    return "" if default is PydanticUndefined else _shown(default)


def _shown(value: object) -> str:
    return "" if value in (None, "", (), {}) else f"`{json.dumps(value)}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
