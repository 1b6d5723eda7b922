"""Fills a ledger with some weeks of reproducible sample calls."""

import random
from dataclasses import replace
from pathlib import Path

from tools.base import Call, Project, Receipt, TokenCounts
from tools.ledger.store import Ledger

DAYS = 30
WEIGHTS = {"summarize": 5, "classify": 4, "extract": 3, "chat": 2}
PROJECTS = {"shop": 6, "erp": 3, "handbook": 1}
AGENTS = {"claude-code": 6, "gemini-cli": 3, "codex": 1, "cli": 1}
ENGINES = {"small": ("llamacpp", "smollm2-135m", 180), "main": ("ollama", "gpt-oss:20b", 1300)}
ERRORS = ("engine_busy", "engine_timeout", "path_not_found", "invalid_arguments")
DEFINITIONS = 994


async def seed(folder: Path, until: float) -> None:
    """Fills the ledger in ``folder`` with ``DAYS`` days of calls up to ``until``, in seconds since 1970."""
    chosen = random.Random(5)
    now = until
    async with Ledger(folder, clock=lambda: now) as ledger:
        for day in reversed(range(DAYS)):
            moments = sorted(
                until - 86400 * (day + chosen.random() * 0.4) for _ in range(chosen.randrange(3, 30))
            )
            for moment in moments:
                now = moment
                project, agent, tool = _one(chosen, PROJECTS), _one(chosen, AGENTS), _one(chosen, WEIGHTS)
                if chosen.random() < 0.12:
                    ledger.charge(project, agent, DEFINITIONS)
                receipt = _receipt(chosen, project, tool)
                error = chosen.choice(ERRORS) if chosen.random() < 0.03 else ""
                if error:
                    receipt = replace(receipt, tokens=TokenCounts(), saved=-chosen.randrange(20, 90))
                ledger.record(Call(tool, {}, Project(project), agent), receipt, error)


def _receipt(chosen: random.Random, project: str, tool: str) -> Receipt:
    tier = "small" if tool in ("classify", "extract") else chosen.choice(["small", "main"])
    engine, model, ms = ENGINES[tier]
    read = 0 if tool == "chat" else round(chosen.lognormvariate(8, 1))
    cost = chosen.randrange(40, 400)
    return Receipt(
        tier=tier,
        engine=engine,
        model=model,
        adapter=project if tier == "main" and project != "handbook" else None,
        project=project,
        ms=round(ms * chosen.lognormvariate(0, 0.6)),
        tokens=TokenCounts(read, read + 180, cost // 2),
        saved=read - cost,
        cached=chosen.random() < 0.1,
        decided_by="embedding" if tool == "classify" else "",
        route=f"{tool} wants {tier}" if tier == "small" else "main: the smallest that the request fits into",
        notes=("no adapter 'shop', used the base model",) if chosen.random() < 0.1 else (),
    )


def _one(chosen: random.Random, weights: dict[str, int]) -> str:
    return chosen.choices(list(weights), list(weights.values()))[0]
