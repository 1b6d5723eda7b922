"""Labels by asking the model: one answer a text, constrained to the labels, with its own probabilities."""

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
"""As many as OpenAI's wire gives for a token (``top_logprobs``)."""

UNKNOWN_CONFIDENCE = 0.5
"""Of an answer whose engine tells no probabilities; the receipt says so."""

EXAMPLES_SHOWN = 24


async def asked(arguments: ClassifyArguments, run: Run, documents: Sequence[Document]) -> list[Verdict]:
    """A verdict for each document; one that fails carries its error and leaves the others alone.

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
    """The verdict over all parts of a document: their probabilities, weighted by their length."""
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
    room = run.route.context - run.route.max_tokens - shared
    return list(split(document, max(room, 200), run.count))


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
    """The label in the answer.

    Raises:
        InvalidAnswerError: there is none.
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
    """Each label's probability by the tokens of the answer ``{"label": "<label>"}``.

    At each token only those alternatives count that go on towards some label. The share of one that leads
    away from the answered label is divided among the labels it may lead to.
    """
    written = "".join(token.token for token in tokens)
    value = written.find('"', written.find(":"))
    endings = {each: written[:value] + json.dumps(each, ensure_ascii=False) for each in labels}
    shares: dict[str, float] = dict.fromkeys(labels, 0.0)
    left, said = 1.0, ""
    for token in tokens:
        going = _begun(said + token.token, endings)
        weights = {(token.token, tuple(going)): math.exp(token.logprob)}
        for text, logprob in token.top:
            if text != token.token and (begun := _begun(said + text, endings)):
                weights[text, tuple(begun)] = math.exp(logprob)
        total = sum(weights.values())
        for (_, begun), weight in weights.items():
            if not set(going) <= set(begun):
                for each in begun:
                    shares[each] += left * weight / total / len(begun)
        left *= sum(weight for (_, begun), weight in weights.items() if set(going) <= set(begun)) / total
        said += token.token
        if len(going) < 2:
            break
    return {**shares, label: shares[label] + left}


def _begun(text: str, endings: Mapping[str, str]) -> list[str]:
    """The labels at which an answer may end that begins with ``text``."""
    return [label for label, ending in endings.items() if ending.startswith(text) or text.startswith(ending)]


async def _several(arguments: ClassifyArguments, run: Run, document: Document) -> Verdict:
    """All labels that apply to any part, by a constrained list."""
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
    """Instructions, labels and examples first: the same for every text, so prompt caches serve them."""
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
