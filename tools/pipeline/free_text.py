"""Asks for free text, and returns it without our delimiters and instructions, which small models repeat."""

from dataclasses import replace

from engines.base import Request
from engines.errors import InvalidAnswerError
from tools.pipeline.prompts import repeats, unfenced
from tools.pipeline.run import Run

AGAIN = 0.5
"""Temperature of the second attempt: at 0, it would be the first again."""


async def ask_for_text(run: Run, request: Request, *, ours: str, source: str) -> str:
    """Returns the answer without our delimiters; asks once more if it repeats ``ours`` or is nothing else.

    Args:
        ours: the part of the prompt that the caller did not write.
        source: what the caller sent, which an answer may repeat.

    Raises:
        InvalidAnswerError: both answers repeated it.
    """
    prompt = "\n".join(message.content for message in request.messages)
    for temperature in (request.temperature, max(request.temperature, AGAIN)):
        answer = (await run.ask(replace(request, temperature=temperature))).text
        text = unfenced(answer, prompt, source)
        if bool(text) == bool(answer) and not repeats(text, ours, source):
            return text
    raise InvalidAnswerError(
        "the model repeated its instructions instead of an answer", hint="use a larger model (tier: main)"
    )
