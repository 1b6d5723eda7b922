"""classify: assigns one of the given labels to each text, with a calibrated probability."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from engines.base import JsonObject, JsonValue
from engines.errors import InvalidAnswerError
from tools.classify.arguments import ClassifyArguments, Verdict
from tools.classify.decide import decide
from tools.pipeline.run import Run
from tools.sources.documents import Document
from tools.tool import Output, Tool


class Classify(Tool[ClassifyArguments]):
    name = "classify"
    description = (
        "Sort texts into your labels, with calibrated confidence. One call takes thousands of log lines, "
        "issues or files: pass paths (split=line) or items."
    )
    wants = "small"
    output_schema: ClassVar[JsonObject | None] = {
        "type": "object",
        "properties": {
            "label": {"type": "string"},
            "confidence": {"type": "number"},
            "abstained": {"type": "boolean"},
            "results": {"type": "array"},
            "counts": {"type": "object"},
        },
    }
    arguments = ClassifyArguments

    async def run(self, arguments: ClassifyArguments, run: Run) -> Output:
        documents = run.sources.documents
        decisions = await decide(arguments, run, [document.text for document in documents])
        verdicts = [decision.verdict for decision in decisions]
        decided_by = ", ".join(sorted({decision.by for decision in decisions}))
        if arguments.min_confidence is not None:
            verdicts = [_under(verdict, arguments.min_confidence) for verdict in verdicts]
            verdicts = await _escalated(arguments, run, documents, verdicts)
        if _is_one(arguments, documents):
            return Output(_one(verdicts[0], multi=arguments.multi), decided_by)
        return Output(_many(documents, verdicts, multi=arguments.multi), decided_by)


def _is_one(arguments: ClassifyArguments, documents: Sequence[Document]) -> bool:
    """Returns whether the answer is a single verdict (a text or one whole file) rather than a list."""
    return len(documents) == 1 and arguments.items is None and arguments.split == "file"


def _under(verdict: Verdict, threshold: float) -> Verdict:
    return replace(verdict, abstained=verdict.abstained or verdict.confidence < threshold)


async def _escalated(
    arguments: ClassifyArguments, run: Run, documents: Sequence[Document], verdicts: list[Verdict]
) -> list[Verdict]:
    """Returns ``verdicts``, those that abstained asked again of the next tier if that is another model."""
    weak = [index for index, verdict in enumerate(verdicts) if verdict.abstained]
    larger = await run.next_tier() if weak else None
    if larger is None:
        return verdicts
    second = await decide(arguments, larger, [documents[index].text for index in weak])
    better = {index: decision.verdict for index, decision in zip(weak, second, strict=True)}
    threshold = arguments.min_confidence or 0.0
    return [_under(better.get(index, verdict), threshold) for index, verdict in enumerate(verdicts)]


def _one(verdict: Verdict, *, multi: bool) -> JsonObject:
    if verdict.error:
        raise InvalidAnswerError(verdict.error)
    return verdict.as_json(multi=multi)


def _many(documents: Sequence[Document], verdicts: Sequence[Verdict], *, multi: bool) -> JsonObject:
    # The parts of a single file do not repeat its name, which would cost the caller tokens.
    shared = f"{documents[0].path}:" if len({document.path for document in documents}) == 1 else ""
    results: list[JsonValue] = [
        {"id": document.id.removeprefix(shared), **verdict.as_json(multi=multi)}
        for document, verdict in zip(documents, verdicts, strict=True)
    ]
    counts = Counter(label for verdict in verdicts if not verdict.abstained for label in verdict.labels)
    abstained = sum(verdict.abstained for verdict in verdicts)
    failed = sum(bool(verdict.error) for verdict in verdicts)
    counted: JsonObject = dict(counts.most_common())
    counted |= {name: n for name, n in (("(abstained)", abstained), ("(failed)", failed)) if n}
    # Hosts cut long answers at their end or put them into a file, so the counts come first.
    return {"counts": counted, "results": results}
