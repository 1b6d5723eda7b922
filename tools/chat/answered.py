"""Checks whether a text answers a question, by asking the model once more after its answer.

Asked beforehand, in the prompt, the same model refuses questions that the text does answer; afterwards it
costs a dozen tokens, because the text is in the prompt cache. Measured on XQuAD (docs/quality.md).
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from engines.base import Message, Request
from tools.pipeline.run import Run

REFUSAL = "The text does not say."
CHECK = 'Does the text answer my question? Reply "yes" or "no".'
DEFAULT = 0.5
THRESHOLDS: Mapping[str, float] = MappingProxyType({
    "qwen2.5-coder-1.5b": 0.52,
    # Cannot tell: its yes is as probable without an answer in the text.
    "qwen2.5-coder-0.5b": 0.0,
})  # fmt: skip
"""Least probability of "yes", by model, where it was measured."""
LONGEST = 300
"""Characters of an answer to a question of fact; a longer one is a task's result."""


async def is_answered(run: Run, request: Request, answer: str) -> bool:
    """Returns whether the model says, after its ``answer`` to ``request``, that the text contained it."""
    least = THRESHOLDS.get(run.profile.model, DEFAULT)
    question = request.messages[-1].content.rstrip()
    capabilities = run.profile.capabilities
    if not least or not question.endswith("?") or len(answer) > LONGEST or not capabilities.choice:
        return True
    messages = (*request.messages, Message("assistant", answer), Message("user", CHECK))
    logprobs = 20 if capabilities.logprobs else None
    said = await run.ask(
        replace(run.request(messages, max_tokens=4), choices=("yes", "no"), logprobs=logprobs)
    )
    if not said.logprobs:
        return said.text == "yes"
    odds = {token: math.exp(logprob) for token, logprob in said.logprobs[0].top if token in ("yes", "no")}
    return odds.get("yes", 0.0) >= least * sum(odds.values())
