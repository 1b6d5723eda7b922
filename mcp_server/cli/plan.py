"""The ``vram`` and ``route`` commands: a memory plan and a routing decision, without a call."""

import argparse
import json
from dataclasses import asdict

import anyio.to_thread
from rich.table import Table

from engines.errors import AgentError
from engines.models import shapes
from engines.models import vram as memory
from engines.routing import AUTO, Needs
from mcp_server.cli.context import fail, plain_console, start, started
from tools.catalog import TOOLS


async def vram(options: argparse.Namespace) -> int:
    """Prints the memory of a model's weights, KV cache and buffer for a context and parallelism."""
    try:
        settings = start(options).settings
        shape = await anyio.to_thread.run_sync(shapes.find, options.model)
        plan = memory.plan(
            shape, context=options.context, parallel=options.parallel, total_gib=settings.vram.total_gib
        )
    except AgentError as error:
        return fail(error, as_json=options.json)
    if options.json:
        print(json.dumps({**asdict(plan), "total": plan.total, "fits": plan.fits}))
        return 0
    rows = (("weights", plan.weights), ("KV cache", plan.kv_cache), ("buffer", plan.buffer),
            ("total", plan.total), ("available", plan.available))  # fmt: skip
    table = Table("", "", box=None, show_header=False, pad_edge=False)
    for name, size in rows:
        table.add_row(name, memory.amount(size))
    console = plain_console()
    console.print(f"{plan.model}, {options.context} tokens, {options.parallel} parallel requests")
    console.print(table)
    console.print(
        "fits" if plan.fits else "does not fit: use fewer parallel requests, less context, or a smaller model"
    )
    for line in plan.explain:
        console.print(f"  {line}", soft_wrap=True)
    return 0


async def route(options: argparse.Namespace) -> int:
    """Prints the tier, engine and model that a call of the given size would get."""
    tool = next(tool for tool in TOOLS if tool.name == options.tool)
    needs = Needs(
        tier=options.tier or AUTO,
        wants=tool.wants,
        prompt_tokens=options.tokens,
        max_tokens=options.max_tokens,
        splits=tool.splits,
        model=options.model,
        adapter=options.adapter,
    )
    try:
        async with started(options) as (app, project):
            picked = await app.router.pick(needs)
    except AgentError as error:
        return fail(error, as_json=options.json)
    decision = {
        "project": project.name,
        "tier": picked.tier.name,
        "engine": picked.profile.engine,
        "model": picked.profile.model,
        "adapter": picked.adapter or project.adapter,
        "max_tokens": picked.max_tokens,
        "context": picked.context,
        "target_ms": picked.tier.target_ms,
        "reason": picked.reason,
    }
    if options.json:
        print(json.dumps(decision))
    else:
        for name, value in decision.items():
            print(f"{name:10} {value if value is not None else '-'}")
    return 0
