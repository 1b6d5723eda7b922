"""classify: assigns one of the given labels to each text, with a calibrated probability."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

import anyio.to_thread

from engines.base import JsonObject
from engines.errors import InvalidAnswerError
from tools.classify.arguments import ClassifyArguments, Verdict
from tools.classify.decide import decide
from tools.classify.groups import SHOWN, grouped, label_of
from tools.classify.kinds import kinds_in
from tools.pipeline.run import Run
from tools.pipeline.structured import compact
from tools.sources.documents import Document
from tools.sources.kinds import Kind
from tools.tool import Output, Tool

LISTED = 50
"""Most texts whose results are all listed in the answer; of more it has the groups."""
GROUPS_TOKENS = 1_700
"""Tokens of counts and groups, which leaves enough of the limit of all answers for the results file."""


class Classify(Tool[ClassifyArguments]):
    name = "classify"
    description = (
        "Sort texts into your labels, with calibrated confidence. One call takes thousands of log lines, "
        "issues or files: paths (split=line) or items. Over 50: counts and groups with line ranges; grep "
        "results_file for all. Describe vague labels."
    )
    wants = "small"
    output_schema: ClassVar[JsonObject | None] = {
        "type": "object",
        "properties": {
            "label": {"type": "string"},
            "confidence": {"type": "number"},
            "counts": {"type": "object"},
            "groups": {"type": "array"},
        },
    }
    arguments = ClassifyArguments

    async def run(self, arguments: ClassifyArguments, run: Run) -> Output:
        documents = run.sources.documents
        kinds = await anyio.to_thread.run_sync(kinds_in, [document.text for document in documents])
        texts = [kind.pattern for kind in kinds.each]
        decisions = await decide(arguments, run, texts, log=kinds.log)
        verdicts = [decision.verdict for decision in decisions]
        decided_by = ", ".join(sorted({decision.by for decision in decisions}))
        if arguments.min_confidence is not None:
            verdicts = [_under(verdict, arguments.min_confidence) for verdict in verdicts]
            verdicts = await _escalated(arguments, run, texts, verdicts, log=kinds.log)
        if _is_one(arguments, documents):
            return Output(_one(verdicts[0], multi=arguments.multi), decided_by)
        answer = _Answer(arguments, documents, kinds.each, verdicts)
        listed = len(documents) <= LISTED or arguments.detail == "full"
        shown = answer.whole if listed else partial(answer.short, run.count)
        # In a thread, because a call may have hundreds of thousands of texts.
        return replace(await anyio.to_thread.run_sync(shown), decided_by=decided_by)


def _is_one(arguments: ClassifyArguments, documents: Sequence[Document]) -> bool:
    """Returns whether the answer is a single verdict (a text or one whole file) rather than a list."""
    return len(documents) == 1 and arguments.items is None and arguments.split == "file"


def _under(verdict: Verdict, threshold: float) -> Verdict:
    return replace(verdict, abstained=verdict.abstained or verdict.confidence < threshold)


async def _escalated(
    arguments: ClassifyArguments, run: Run, texts: Sequence[str], verdicts: list[Verdict], *, log: bool
) -> list[Verdict]:
    """Returns ``verdicts``, those that abstained asked again of the next tier if that is another model."""
    weak = [index for index, verdict in enumerate(verdicts) if verdict.abstained]
    larger = await run.next_tier() if weak else None
    if larger is None:
        return verdicts
    second = await decide(arguments, larger, [texts[index] for index in weak], log=log)
    better = {index: decision.verdict for index, decision in zip(weak, second, strict=True)}
    threshold = arguments.min_confidence or 0.0
    return [_under(better.get(index, verdict), threshold) for index, verdict in enumerate(verdicts)]


def _one(verdict: Verdict, *, multi: bool) -> JsonObject:
    if verdict.error:
        raise InvalidAnswerError(verdict.error)
    return verdict.as_json(multi=multi)


class _Answer:
    """The answer about many texts, whole and short."""

    def __init__(
        self,
        arguments: ClassifyArguments,
        documents: Sequence[Document],
        kinds: Sequence[Kind],
        verdicts: Sequence[Verdict],
    ) -> None:
        self._arguments, self._documents, self._kinds, self._verdicts = arguments, documents, kinds, verdicts

    @property
    def counts(self) -> JsonObject:
        """Texts of each label, of those that abstained and those that failed."""
        counts = Counter[str]()
        for kind, verdict in zip(self._kinds, self._verdicts, strict=True):
            for label in (label_of(verdict),) if verdict.error or verdict.abstained else verdict.labels:
                counts[label] += len(kind.members)
        return dict(counts.most_common())

    @property
    def rows(self) -> list[JsonObject]:
        """The result of each text, in order."""
        documents = self._documents
        # The parts of a single file do not repeat its name, which would cost the caller tokens.
        shared = f"{documents[0].path}:" if len({document.path for document in documents}) == 1 else ""
        rows: list[JsonObject] = [{} for _ in documents]
        for kind, verdict in zip(self._kinds, self._verdicts, strict=True):
            shown = verdict.as_json(multi=self._arguments.multi)
            for index in kind.members:
                rows[index] = {"id": documents[index].id.removeprefix(shared), **shown}
        return rows

    def whole(self) -> Output:
        return Output({"counts": self.counts, "results": list(self.rows)})

    def short(self, count: Callable[[str], int]) -> Output:
        """Returns counts and groups, as many as fit ``GROUPS_TOKENS``, with all rows beside."""
        labels = list(self._arguments.labels)
        fields: JsonObject = {"counts": self.counts}
        for shown in SHOWN:
            groups = grouped(labels, self._documents, self._kinds, self._verdicts, shown)
            fields["groups"] = groups
            if count(compact(fields)) <= GROUPS_TOKENS:
                break
        return Output(fields, rows=self.rows)
