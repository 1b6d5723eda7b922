"""Classifies by the model: a distribution over the labels from one constrained answer per text."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from os.path import commonprefix
from typing import cast

from engines.base import Completion, JsonObject, JsonValue, Message, Request, TokenLogprob
from engines.errors import AgentError, InvalidAnswerError
from tools.classify.arguments import ClassifyArguments
from tools.classify.calibration import FLOOR
from tools.pipeline.parallel import each
from tools.pipeline.run import Run
from tools.pipeline.structured import compact

ALTERNATIVES = 20
"""Most alternatives OpenAI's API returns for a token (``top_logprobs``)."""

UNKNOWN = 0.6
"""Probability of an answer whose engine returns no logprobs: a 1.5B model's accuracy over 38 public sets."""

EXAMPLES_SHOWN = 24
"""Examples in the prompt, where no embedding model learns from them."""

BEGINNING, END = 1_000, 500
"""Characters of a long text that the model reads; more gained nothing on issues (docs/quality.md)."""

PREFIX = '{"label": "'
"""Beginning of every answer. An engine that can be given it generates the label only, in half the time."""

CONTENT_FREE = ""
PRIOR = 0.75
"""Exponent of the probabilities a model gives to a text without content, by which its answers are divided.

Contextual calibration (Zhao et al. 2021) divides by all of it; measured in docs/quality.md.
"""


async def model_probabilities(
    arguments: ClassifyArguments,
    run: Run,
    texts: Sequence[str],
    candidates: Sequence[Sequence[str]],
    *,
    prior_weight: float = PRIOR,
) -> list[dict[str, float] | AgentError]:
    """Returns for each text the probability of each of its candidate labels, or the error of its request.

    ``prior_weight`` is the exponent of the probabilities given to a text without content; 0: it is not asked.

    Raises:
        AgentError: every request failed; this is the first one's error.
    """
    if not run.profile.capabilities.logprobs:
        run.tally.note("the engine returns no logprobs: a confidence is a guess from both answers")
    if any(len(text) > BEGINNING + END for text in texts):
        run.tally.note(f"of long texts the model read the first {BEGINNING} and the last {END} characters")
    prior: Mapping[str, float] = {}
    # Texts with a short list of their own would need a prior each.
    shared = len(candidates[0]) == len(arguments.labels)
    if prior_weight and shared and run.profile.capabilities.logprobs:
        prior = await _label_probabilities(arguments, run, candidates[0], CONTENT_FREE)

    async def judge(index: int) -> dict[str, float] | AgentError:
        labels = candidates[index]
        try:
            answer = await _label_probabilities(arguments, run, labels, texts[index])
        except AgentError as error:
            return error
        weights = {
            label: (FLOOR + answer[label]) / (FLOOR + prior.get(label, 1)) ** prior_weight for label in labels
        }
        return {label: weight / sum(weights.values()) for label, weight in weights.items()}

    found = await each(run, range(len(texts)), judge, "classified")
    errors = [answer for answer in found if isinstance(answer, AgentError)]
    if errors and len(errors) == len(found):
        raise errors[0]
    return found


async def _label_probabilities(
    arguments: ClassifyArguments, run: Run, labels: Sequence[str], text: str
) -> Mapping[str, float]:
    properties: JsonObject = {"label": {"type": "string", "enum": list[JsonValue](labels)}}
    schema: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": ["label"],
        "additionalProperties": False,
    }
    capabilities = run.profile.capabilities
    request = run.request(_prompt(arguments, run, labels, text))
    request = replace(request, logprobs=ALTERNATIVES if capabilities.logprobs else None)
    if capabilities.prefill:
        prefix, (label, completion) = PREFIX, await _continued(run, request, labels)
    else:
        prefix, completion = "", await run.ask(replace(request, schema=schema))
        label = _label(completion.text, labels)
    if not completion.logprobs:
        return {other: (1 - UNKNOWN) / (len(labels) - 1) for other in labels} | {label: UNKNOWN}
    return distribution(completion.logprobs, label, labels, prefix)


async def _continued(run: Run, request: Request, labels: Sequence[str]) -> tuple[str, Completion]:
    """Returns the label of an answer that begins with ``PREFIX``, and the rest of the answer.

    Raises:
        InvalidAnswerError: the answer contains no label.
    """
    choices = {compact(label).removeprefix('"'): label for label in labels}
    messages = (*request.messages, Message("assistant", PREFIX))
    request = replace(request, messages=messages, choices=tuple(choices))
    # Each token after those that tell the label costs another pass over the model's weights.
    shared = max(map(commonprefix, pairwise(sorted(choices))), key=len)
    for limit in (1 + run.count(shared), request.max_tokens):
        completion = await run.ask(replace(request, max_tokens=limit))
        begun = [label for choice, label in choices.items() if choice.startswith(completion.text)]
        if len(begun) == 1:
            return begun[0], completion
    raise _no_label(completion.text)


def _label(text: str, labels: Sequence[str]) -> str:
    """Returns the label in the answer ``text``.

    Raises:
        InvalidAnswerError: the answer contains no label.
    """
    try:
        answer = cast("JsonValue", json.loads(text))
    except ValueError:
        answer = None
    label = answer.get("label") if isinstance(answer, dict) else None
    if isinstance(label, str) and label in labels:
        return label
    raise _no_label(text)


def _no_label(text: str) -> InvalidAnswerError:
    return InvalidAnswerError(f"the model answered {text[:80]!r}, which is none of the labels")


def distribution(
    tokens: Sequence[TokenLogprob], label: str, labels: Sequence[str], prefix: str = ""
) -> Mapping[str, float]:
    """Returns each label's probability, from the tokens of ``{"label": "<label>"}`` after its ``prefix``.

    At each token only alternatives that continue towards some label count. The share of one that leads away
    from the answered label is divided among the labels it may lead to.
    """
    written = prefix + "".join(token.token for token in tokens)
    value = written.find('"', written.find(":"))
    endings = {each: written[:value] + json.dumps(each, ensure_ascii=False) for each in labels}
    shares: dict[str, float] = dict.fromkeys(labels, 0.0)
    left = 1.0
    for token in tokens:
        going = _begun(prefix + token.token, endings)
        weights = {(token.token, tuple(going)): math.exp(token.logprob)}
        for text, logprob in token.top:
            if text != token.token and (begun := _begun(prefix + text, endings)):
                weights[text, tuple(begun)] = math.exp(logprob)
        # Tokens that only the grammar allows may all have a probability of 0.
        total = sum(weights.values()) or math.inf
        away = 0.0
        for (_, begun), weight in weights.items():
            if not set(going) <= set(begun):
                away += weight / total
                for each in begun:
                    shares[each] += left * weight / total / len(begun)
        left *= 1 - away
        prefix += token.token
        if len(going) < 2:
            break
    return {**shares, label: shares[label] + left}


def _begun(text: str, endings: Mapping[str, str]) -> list[str]:
    """Returns the labels that an answer beginning with ``text`` may end in."""
    return [label for label, ending in endings.items() if ending.startswith(text) or text.startswith(ending)]


async def several_labels(arguments: ClassifyArguments, run: Run, text: str) -> list[str]:
    """Returns all labels that fit the text, by a constrained list."""
    schema: JsonObject = {
        "type": "array",
        "items": {"enum": list(arguments.labels)},
        "maxItems": len(arguments.labels),
    }
    prompt = _prompt(arguments, run, list(arguments.labels), text)
    found = await run.ask_json(run.request(prompt), schema)
    return list(dict.fromkeys(map(str, found))) if isinstance(found, list) else []


def _prompt(arguments: ClassifyArguments, run: Run, labels: Sequence[str], text: str) -> tuple[Message, ...]:
    """Returns the prompt; what texts share comes first, so that prompt caches serve it."""
    wanted = "Answer with all that fit of" if arguments.multi else "Answer with one of"
    examples = () if run.profile.capabilities.embed else (arguments.examples or ())
    lines = [f"{arguments.instructions or 'Which label fits this text?'} {wanted}: {', '.join(labels)}."]
    lines += [f"- {label}: {arguments.labels[label]}" for label in labels if arguments.labels[label]]
    lines += [f"Example: {compact(each.text)} -> {each.label}" for each in examples[:EXAMPLES_SHOWN]]
    if len(text) > BEGINNING + END:
        text = f"{text[:BEGINNING]}\n[...]\n{text[-END:]}"
    # The text cannot end its own quotes.
    quoted = text.replace('"""', "'''")
    return (Message("user", "\n".join([*lines, "", "Text:", '"""', quoted, '"""'])),)
