"""The ``calibrate`` command: measures how far a model's labels can be believed, and keeps the result."""

import argparse
import json

from engines.base import JsonObject
from engines.errors import AgentError
from mcp_server.cli.context import fail, plain_console, start, started
from mcp_server.cli.tools import reporting
from tools.base import Call
from tools.classify.calibrate import Calibrate
from tools.classify.calibration import file_name

DEADLINE_S = 3_600.0


async def calibrate(options: argparse.Namespace) -> int:
    """Measures the model and writes the weights to the user's data folder."""
    try:
        async with started(options) as (app, project), reporting() as report:
            call = Call(
                "calibrate", {}, project, "cli", model=options.model, deadline_s=DEADLINE_S, full=True
            )
            result = await app.dispatcher.serving(Calibrate()).run(call, report)
    except AgentError as error:
        return fail(error, as_json=options.json)
    fields = dict(result.fields)
    folder = start(options).folders.calibrations
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / file_name(str(fields["model"]), str(fields["embedding_model"]))
    path.write_text(json.dumps(fields, indent=1), encoding="utf-8")
    if options.json:
        print(json.dumps({**fields, "path": str(path)}))
    else:
        _show(fields, str(path))
    return 0


def _show(fields: JsonObject, path: str) -> None:
    measured = fields["measured"]
    assert isinstance(measured, dict)
    plain_console().print(
        f"{fields['model']}: {measured['both']:.0%} of {measured['rows']} rows right "
        f"(embeddings alone {measured['embedding']:.0%}, the model alone {measured['model']:.0%}), "
        f"mean confidence {measured['confidence']:.0%}; the model is asked about {measured['asked']:.0%}.\n"
        f"classify uses it from now on: {path}",
        soft_wrap=True,
    )
