"""The ``doctor`` command: checks settings, engines, tiers and registrations, with hints."""

import argparse
import json
import os
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from engines import tokens
from engines.base import Profile
from engines.errors import AgentError
from engines.models.catalogue import CATALOGUE
from engines.models.default_model import RECOMMENDED
from engines.routing import Needs
from mcp_server.app import App, build
from mcp_server.cli.context import Start, fail, start
from mcp_server.cli.findings import Finding, print_details, print_sentences
from mcp_server.cli.survey import listed, short, title
from mcp_server.clients.trial import trials
from mcp_server.folders import Folders
from mcp_server.settings import CONFIG_VARIABLE, PROJECT_FILE
from mcp_server.version import VERSION
from tools.classify.calibration import calibration_of

POOR = 0.4
"""Billions of parameters; smaller models give poor answers (measured in docs/quality.md)."""


async def doctor(options: argparse.Namespace) -> int:
    """Prints all findings; the exit code is 1 if no engine can be used."""
    try:
        begun = start(options)
        async with build(begun.settings, begun.folders) as app:
            findings = [*_setup(begun), *[f async for f in _engines(app)]]
            findings += [f async for f in _tiers(app, begun.folders)]
    except AgentError as error:
        return fail(error, as_json=options.json)
    findings.append(_estimator(begun.folders))
    findings += await _registrations(begun)
    usable = any(finding.ok and finding.what.startswith("tier ") for finding in findings)
    if options.json:
        print(json.dumps({"ok": usable, "findings": [finding.as_json() for finding in findings]}))
    elif options.details:
        print_details(findings)
    else:
        print_sentences(findings, usable=usable)
    return 0 if usable else 1


def _setup(begun: Start) -> Sequence[Finding]:
    project = begun.project
    user = Path(os.environ.get(CONFIG_VARIABLE) or begun.folders.config / "config.toml")
    own = project.root / PROJECT_FILE if project.root else None
    files = [str(file) for file in (user, own) if file and file.is_file()]
    readable = (
        f"calls from here may read the files of the project {project.name}, {short(project.root or '')}"
    )
    root = Finding(True, "project", f"{project.name} at {project.root}", says=readable)
    if project.root is None:
        root = Finding(
            False,
            "project",
            "none found",
            "start in a project's folder: without a project no file can be read",
        )
    return (
        Finding(True, "version", VERSION),
        Finding(
            True,
            "settings",
            ", ".join(files) or "defaults",
            "" if files else f"optional: {user}",
            f"read from {listed([short(file) for file in files])}" if files else "",
        ),
        root,
        Finding(True, "models folder", str(begun.folders.models)),
    )


async def _engines(app: App) -> AsyncIterator[Finding]:
    """Checks each engine the settings allow."""
    for name, engine in app.engines.each.items():
        try:
            await engine.check()
            profile = await engine.profile()
        except AgentError as error:
            yield Finding(False, f"engine {name}", error.message, error.hint)
            continue
        capabilities = profile.capabilities
        offers = [field for field in ("json_schema", "choice", "logprobs", "tools", "lora", "embed")
                  if getattr(capabilities, field)]  # fmt: skip
        found = f"{profile.model}, {capabilities.max_context} tokens, {', '.join(offers)}"
        found += f" by {profile.embedding_model}" if capabilities.embed else ""
        hint = _advice(profile) if name == "llamacpp" else _why(profile)
        yield Finding(True, f"engine {name}", found, hint, f"{title(name)} is ready")


def _why(profile: Profile) -> str:
    """Returns why the engine chose its models, and which it left out."""
    why = [f"{profile.model}: {profile.reason}"] if profile.reason else []
    why += [f"{profile.small_model} for the small tier"] if profile.small_model else []
    return "; ".join([*why, *profile.notes])


def _advice(profile: Profile) -> str:
    """Returns a hint on a better embedded model and its cost; empty if there is none."""
    poor = 0 < profile.parameters < POOR
    pulled = CATALOGUE.get(profile.model)
    better = [card for card in CATALOGUE.values() if card.parameters > profile.parameters]
    if not (pulled and better):
        return ""
    card = CATALOGUE[RECOMMENDED] if poor else better[-1]
    cost = f"{card.size / 1e9:.1f} GB to download"
    cost += f" and {card.memory} GB of memory" if card.memory else ""
    hint = f"better: {card.name}, {cost}: local-llm-agent models pull {card.name}"
    return f"answers will be poor, {profile.model} is for tests; {hint}" if poor else hint


async def _tiers(app: App, folders: Folders) -> AsyncIterator[Finding]:
    """Routes a call of each tier, and says how far its model's labels can be believed."""
    models: set[str] = set()
    for name in app.router.tiers:
        try:
            route = await app.router.pick(Needs(tier=name, splits=True))
        except AgentError as error:
            yield Finding(False, f"tier {name}", error.message, error.hint)
            continue
        found = (
            f"{route.profile.engine} {route.profile.model}, {route.max_tokens} of {route.context} tokens, "
            f"target {route.tier.target_ms} ms"
        )
        says = f"{route.profile.model} in {title(route.profile.engine)}"
        yield Finding(True, f"tier {name}", found, says=says)
        if route.profile.model not in models:
            models.add(route.profile.model)
            yield _labels(route.profile, folders)


def _labels(profile: Profile, folders: Folders) -> Finding:
    calibration = calibration_of(profile, folders.calibrations)
    found = {
        "measured": "measured on this machine",
        "shipped": "measured by us",
        "default": "never measured, cautious weights",
    }[calibration.source]
    unmeasured = calibration.source == "default"
    hint = "measure it: local-llm-agent calibrate" if unmeasured else ""
    says = f"how far labels of {profile.model} can be believed was never measured" if unmeasured else ""
    return Finding(True, f"labels of {profile.model}", found, hint, says)


def _estimator(folders: Folders) -> Finding:
    method = tokens.load(folders.cache / "tokens").method
    hint = "" if method != "bytes" else "install bpe-openai to count tokens instead of estimating them"
    return Finding(method != "bytes", "token estimates", method, hint)


async def _registrations(begun: Start) -> Sequence[Finding]:
    """Tests each client's registration the way the client uses it."""
    findings = [
        Finding(
            trial.ok,
            f"{trial.where.client.title}, {trial.where.scope}",
            trial.found,
            trial.hint,
            f"{trial.where.client.title} ({trial.where.scope}): {trial.found}",
        )
        async for trial in trials(begun.project.root, os.environ)
    ]
    none = Finding(
        True, "agents", "none registered", "run: local-llm-agent register claude-code", "none is registered"
    )
    return findings or [none]
