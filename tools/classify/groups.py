"""The short answer of classify for many texts: how many have each label, in which kinds, and where."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import groupby

from engines.base import JsonObject, JsonValue
from tools.classify.arguments import Verdict
from tools.sources.documents import Document
from tools.sources.kinds import Kind

SHOWN = (12, 8, 5, 3, 2, 1)
"""Kinds of each label that are shown: the most that fit; of the rest only their number and places."""
LONGEST_EXAMPLE, LONGEST_IDS = 160, 60
"""Characters of an example and of a list of ids."""


def label_of(verdict: Verdict) -> str:
    """Returns the name under which the verdict is counted and grouped."""
    if verdict.error:
        return "(failed)"
    return "(abstained)" if verdict.abstained else ", ".join(verdict.labels)


def grouped(
    labels: Sequence[str],
    documents: Sequence[Document],
    kinds: Sequence[Kind],
    verdicts: Sequence[Verdict],
    shown: int,
) -> list[JsonValue]:
    """Returns the groups, by label in the order of ``labels``; a label's largest kinds first, and its rarest.

    ``verdicts`` are of the ``kinds``. At most ``shown`` kinds of a label are groups, the others are one.
    """
    of_label: defaultdict[str, list[tuple[Kind, Verdict]]] = defaultdict(list)
    for kind, verdict in zip(kinds, verdicts, strict=True):
        of_label[label_of(verdict)].append((kind, verdict))
    order = [label for label in labels if label in of_label]
    groups: list[JsonValue] = []
    for label in order + [label for label in of_label if label not in order]:
        found = sorted(of_label[label], key=lambda pair: -len(pair[0].members))
        if len(found) > shown:
            # The largest, and the rarest, which are often what is looked for.
            first = (shown + 1) // 2
            last = len(found) - (shown - first)
            found, between = found[:first] + found[last:], found[first:last]
        else:
            between = []
        groups += [_group(label, documents, [pair]) for pair in found]
        groups += [_group(label, documents, between)] if between else []
    return groups


def _group(label: str, documents: Sequence[Document], pairs: Sequence[tuple[Kind, Verdict]]) -> JsonObject:
    members = sorted(index for kind, _ in pairs for index in kind.members)
    kind, verdict = pairs[0]
    group: JsonObject = {
        "label": label,
        "count": len(members),
        "share": round(len(members) / len(documents), 3),
    }
    if len(pairs) > 1:
        group["kinds"] = len(pairs)
    elif kind.pattern != documents[members[0]].text:
        group["pattern"] = _cut(kind.pattern)
    else:
        group["example"] = _cut(documents[members[0]].text)
    if verdict.confidence and len(pairs) == 1:
        group["confidence"] = round(verdict.confidence, 2)
    return {**group, "ids": ids([documents[index] for index in members])}


def _cut(text: str) -> str:
    text = text.strip()
    return text if len(text) <= LONGEST_EXAMPLE else f"{text[: LONGEST_EXAMPLE - 1]}…"


def ids(documents: Sequence[Document]) -> str:
    """Returns where ``documents`` are: ``12-40,55``, after ``path:`` for several files; ``…`` if cut."""
    parts: list[str] = []
    length = 0
    paths = {document.path for document in documents}
    for path, group in groupby(documents, key=lambda document: document.path):
        members = list(group)
        is_part = members[0].id != path
        before = f"{path}:" if len(paths) > 1 and path and is_part else ""
        for first, last in _ranges([_number(document) for document in members]):
            part = f"{before}{first}-{last}" if last != first else f"{before}{first}"
            length += len(part) + 1
            if length > LONGEST_IDS and parts:
                return ",".join([*parts, "…"])
            parts.append(part)
            before = ""
    return ",".join(parts)


def _number(document: Document) -> str | int:
    name = document.id.removeprefix(f"{document.path}:") if document.path else document.id
    return int(name) if name.isdecimal() else name


def _ranges(numbers: Sequence[str | int]) -> list[tuple[str | int, str | int]]:
    """Returns the first and last of each run of successive numbers."""
    runs: list[tuple[str | int, str | int]] = []
    for number in numbers:
        last = runs[-1][1] if runs else ""
        if isinstance(number, int) and isinstance(last, int) and number == last + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs
