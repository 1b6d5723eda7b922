"""Classifies by the model: one constrained answer per text, with label probabilities from logprobs."""

import json
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from engines.base import Completion, JsonObject, JsonValue, Message, TokenLogprob
from engines.errors import AgentError, InvalidAnswerError
from tools.classify.arguments import ClassifyArguments, Verdict
from tools.pipeline.parallel import each
from tools.pipeline.run import Run
from tools.pipeline.structured import compact
from tools.sources.chunks import Chunk, split
from tools.sources.documents import Document
from tools.tool import PROMPT_OVERHEAD

ALTERNATIVES = 20
"""Most alternatives OpenAI's API returns for a token (``top_logprobs``)."""

UNKNOWN_CONFIDENCE = 0.5
"""Confidence of an answer whose engine returns no logprobs; the receipt reports that."""

EXAMPLES_SHOWN = 24


async def classify_by_model(
    arguments: ClassifyArguments, run: Run, documents: Sequence[Document]
) -> list[Verdict]:
    """Returns a verdict for each document; one that fails carries its error and does not affect the others.

    Raises:
        AgentError: every document failed; this is the first one's error.
    """
    errors: list[AgentError] = []

    async def judge(document: Document) -> Verdict:
        try:
            return await _judge(arguments, run, document)
        except AgentError as error:
            errors.append(error)
            return Verdict(error=error.message)

    if not run.profile.capabilities.logprobs:
        run.tally.note("this engine tells no probabilities: confidence is unknown")
    verdicts = await each(run, documents, judge, "classified")
    if documents and len(errors) == len(documents):
        raise errors[0]
    return verdicts


async def _judge(arguments: ClassifyArguments, run: Run, document: Document) -> Verdict:
    """Returns the verdict over all chunks of a document: their probabilities, weighted by length."""
    if arguments.multi:
        return await _several(arguments, run, document)
    total: dict[str, float] = defaultdict(float)
    for chunk in _chunks(arguments, run, document):
        for label, probability in (await _probabilities(arguments, run, chunk.text)).items():
            total[label] += probability * len(chunk.text)
    best = max(total, key=lambda label: total[label])
    return Verdict((best,), total[best] / sum(total.values()))


def _chunks(arguments: ClassifyArguments, run: Run, document: Document) -> list[Chunk]:
    shared = run.count(_question(arguments)) + PROMPT_OVERHEAD
    budget = run.route.context - run.route.max_tokens - shared
    return list(split(document, max(budget, 200), run.count))


async def _probabilities(arguments: ClassifyArguments, run: Run, text: str) -> Mapping[str, float]:
    labels = list(arguments.labels)
    properties: JsonObject = {"label": {"type": "string", "enum": list[JsonValue](labels)}}
    schema: JsonObject = {
        "type": "object",
        "properties": properties,
        "required": ["label"],
        "additionalProperties": False,
    }
    logprobs = ALTERNATIVES if run.profile.capabilities.logprobs else None
    completion = await run.ask(
        replace(run.request(_prompt(arguments, text)), schema=schema, logprobs=logprobs)
    )
    label = _label(completion, labels)
    if not completion.logprobs:
        return {label: UNKNOWN_CONFIDENCE}
    return distribution(completion.logprobs, label, labels)


def _label(completion: Completion, labels: Sequence[str]) -> str:
    """Returns the label in the answer.

    Raises:
        InvalidAnswerError: the answer contains no label.
    """
    try:
        answer = cast("JsonValue", json.loads(completion.text))
    except ValueError:
        answer = None
    label = answer.get("label") if isinstance(answer, dict) else None
    if isinstance(label, str) and label in labels:
        return label
    raise InvalidAnswerError(f"the model answered {completion.text[:80]!r}, which is none of the labels")


def distribution(tokens: Sequence[TokenLogprob], label: str, labels: Sequence[str]) -> Mapping[str, float]:
    """Returns each label's probability, from the tokens of the answer ``{"label": "<label>"}``.

    At each token only alternatives that continue towards some label count. The share of one that leads away
    from the answered label is divided among the labels it may lead to.
    """
    written = "".join(token.token for token in tokens)
    value = written.find('"', written.find(":"))
    endings = {each: written[:value] + json.dumps(each, ensure_ascii=False) for each in labels}
    shares: dict[str, float] = dict.fromkeys(labels, 0.0)
    left, prefix = 1.0, ""
    for token in tokens:
        going = _begun(prefix + token.token, endings)
        weights = {(token.token, tuple(going)): math.exp(token.logprob)}
        for text, logprob in token.top:
            if text != token.token and (begun := _begun(prefix + text, endings)):
                weights[text, tuple(begun)] = math.exp(logprob)
        # A token that only the grammar wanted may have no probability to speak of: then nothing led away.
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


async def _several(arguments: ClassifyArguments, run: Run, document: Document) -> Verdict:
    """Returns all labels that apply to any chunk, by a constrained list."""
    schema: JsonObject = {
        "type": "array",
        "items": {"enum": list(arguments.labels)},
        "maxItems": len(arguments.labels),
    }
    found: dict[str, None] = {}
    for chunk in _chunks(arguments, run, document):
        answer = await run.ask_json(run.request(_prompt(arguments, chunk.text)), schema)
        found |= dict.fromkeys(str(label) for label in answer) if isinstance(answer, list) else {}
    return Verdict(tuple(found), UNKNOWN_CONFIDENCE, abstained=not found)


def _prompt(arguments: ClassifyArguments, text: str) -> tuple[Message, ...]:
    """Returns the prompt; instructions, labels and examples come first, so that prompt caches serve them."""
    return (Message("user", f"{_question(arguments)}\n\n{text}"),)


def _question(arguments: ClassifyArguments) -> str:
    wanted = "Answer with all that fit of" if arguments.multi else "Answer with one of"
    lines = [
        f"{arguments.instructions or 'Which label fits this text?'} {wanted}: {', '.join(arguments.labels)}."
    ]
    lines += _described(arguments.labels)
    lines += [
        f"Example: {compact(each.text)} -> {each.label}"
        for each in (arguments.examples or ())[:EXAMPLES_SHOWN]
    ]
    return "\n".join(lines)


def _described(labels: Mapping[str, str]) -> Iterable[str]:
    return (f"- {label}: {description}" for label, description in labels.items() if description)
