"""The text of docs/quality.md, made from the figures alone."""

from collections.abc import Mapping, Sequence
from typing import cast

from engines.base import JsonObject, JsonValue

Figures = Mapping[str, JsonValue]
Sets = dict[str, JsonObject]

HEAD = """# Quality of the answers

Made by `python -P -m benchmarks.quality --report --write` from the raw answers it keeps; do not edit by
hand. The figures are in `benchmarks/quality.json`.

Every set has 200 rows of public data (fewer for the long ones). *Plain chat* is one request a row to the same
model with the same instruction, text and constrained output: what a simple client does. It was asked
on fewer rows, at equal steps, as it takes longer; *tool, same rows* is the tool on just those. Brackets
hold the 95 % interval over 1,000 bootstrap resamples of the rows: with 200 rows, differences under
7 points are often chance. Seconds and tokens are coarse: two cores were busy with other work, and of the ways
a set was put one after another the later ones found its embeddings cached.
"""

CLASSIFY = """## classify

*One a call* and *all in one call* are the same rows put singly and together: many items at once refine
each other. *Names only* leaves out `tools/glossary.py`, by which common label names mean more than their
words; the difference is what the glossary gives. *Bare embedding* is the nearest label name by cosine.
*Ten examples* were given for each label, from rows (or a published training file) that were not asked. The
rows of banking77 have labels of their own each and cannot share a call: where one call is compared, theirs
count as put singly. Differences are taken row by row, on the rows both ways were put to.

Constants and the glossary were chosen on other data than these sets: `tools/scoring.py`, `tools/odds.py` and
`tools/glossary.py` say which. Examples for banking77 and clinc150 come from their published training files.

What it means to you: without examples or descriptions, expect this accuracy for labels that say what they
mean, and less for house words. If a wrong label costs you anything, give ten examples a label, or
`min_confidence` and look at what abstained yourself.
"""

CONFIDENCE = """### What the confidence is worth

*Calibration error*: how far confidence and accuracy lie apart on average (ten bins); 0.1 means that of
answers at 0.8 between 70 and 90 of 100 are right. *Coverage at 90 %*: the share of rows, surest first, that
can be taken unread with nine in ten right. Rows drawn again fill the bins less evenly: the intervals of the
calibration error reach further up than down, those of the means lie above it.
"""

SCOPE = """### Texts no label fits

*AUROC*: how often a text that some label fits has the higher confidence of the two; 0.5 is chance.
*Abstained* counts without `min_confidence`. A text no label fits is never right in *accuracy at coverage*.
"""

EXTRACT = """## extract

*F1* counts field and value together over all rows; *exact* are rows with nothing wrong and nothing missing.
*Unsupported* is the share of values the answer itself says are not in the text; all others carry their
line. What it means to you: versions, dates, counts, ids and what else has a notation are read by code and
can be relied on; names and phrases picked by meaning are suggestions with this model, and need a larger one.
"""

SUMMARIZE = """## summarize

ROUGE against a human text, without stemming (`benchmarks/rouge.py`): a weak measure, fit for comparing.
*Lead* is the first 150 words, no rival where one line is wanted (diff_subject). What it means to you: with
this model a summary is made of the text's own sentences (of a diff: its changes), so nothing is made up,
and it reads as quoted.
"""

LENGTH = """## Length

One text of 10,000, 50,000 and 100,000 tokens, summarized, then asked for a fact that stands at 95 % of it
(`benchmarks/length.py`). What it means to you: time grows no faster than the length, the end is read like the
beginning, and a second question about the same text costs next to nothing.
"""

SPEED = """## 200 items at once

One classify call of 200 short items against single plain chat calls with the same labels, in one run with
nothing else heavy on the machine (`benchmarks/speed.py`). Where embeddings decide, items of one call refine
each other; where the model is asked, each gets the label it gets alone, but half precision may turn near
ties: on vLLM 24 of 24 short items were alike in single precision, 20 in bfloat16
(`tests/vllm/test_labels.py`).
"""


def document(found: Figures) -> str:
    """The whole page, a part for each engine and model."""
    parts = [HEAD]
    for name, figures in found.items():
        told = cast("JsonObject", figures)
        sets = cast("Sets", told["sets"])
        parts += [f"# {name}\n", *_classify(_of(sets, "classify"), cast("JsonObject", told["means"]))]
        parts += _extract(_of(sets, "extract")) + _summarize(_of(sets, "summarize"))
        if "length" in told:
            parts += [LENGTH, _length(cast("list[JsonObject]", told["length"]))]
        if "speed" in told:
            parts += [SPEED, _pairs(cast("JsonObject", told["speed"]))]
    return "\n".join(parts)


def _of(sets: Sets, task: str) -> Sets:
    return {name: told for name, told in sets.items() if told["task"] == task}


def _classify(sets: Sets, means: JsonObject) -> list[str]:
    ways = {
        "ours": "one a call",
        "call": "all in one call",
        "names": "one a call, names only",
        "call-names": "in one call, names only",
        "bare": "bare embedding",
        "examples": "ten examples",
        "plain": "plain chat",
    }
    if not sets:
        return []
    head = ["set", *ways.values(), "tool, same rows"]
    rows = [
        [name, *(_shown(told, way, "accuracy") for way in ways), _same(told, "accuracy")]
        for name, told in sets.items()
    ]
    mean = ["mean", *(_mean_of(sets, way) for way in ways), ""]
    told = [CLASSIFY, _table(head, [*rows, mean]), _compared(sets, means)]
    return [*told, CONFIDENCE, _confidence(sets, means), *_scope(sets), _costs(sets)]


def _mean_of(sets: Sets, way: str) -> str:
    """The mean accuracy over the sets; put singly where the rows of one cannot share a call."""
    values = [_together(told, way) for told in sets.values()]
    known = [value for value in values if value is not None]
    return f"{sum(known) / len(known):.3f} ({len(known)} sets)" if known else ""


def _together(told: JsonObject, way: str) -> float | None:
    """The accuracy of a set put in one call; singly where its rows cannot share one."""
    single = {"call": "ours", "call-names": "names"}.get(way, way)
    return _first(told, way if way in told else single, "accuracy")


def _compared(sets: Sets, means: JsonObject) -> str:
    """Where the tool gains and loses, in words."""
    lines = [_gain(said, told) for said, told in means.items() if isinstance(told, dict)]
    alike = [f"{name} {told['call as alone']:.0%}" for name, told in sets.items() if "call as alone" in told]
    if alike:
        lines.append(f"- Rows that get the same label in one call as one a call: {', '.join(alike)}.")
    return "\n".join([*lines, ""])


def _gain(said: str, told: JsonObject) -> str:
    mean, low, high = (100 * value for value in cast("list[float]", told["mean"]))
    sets = cast("dict[str, float]", told["sets"])
    each = ", ".join(f"{name} {100 * gain:+.1f}" for name, gain in sets.items())
    lost = ", ".join(name for name, gain in sets.items() if gain < 0) or "none"
    return f"- {said}: {mean:+.1f} points on average [{low:+.1f}, {high:+.1f}] ({each}); loses on {lost}."


def _confidence(sets: Sets, means: JsonObject) -> str:
    ways = {"ours": "one a call", "call": "in one call", "examples": "ten examples"}
    measures = ("accuracy", "calibration error", "coverage at 90 %")
    rows = [
        [name, said, *(_shown(told, way, measure) for measure in measures)]
        for name, told in sets.items()
        for way, said in ways.items()
        if way in told
    ]
    rows += [
        ["mean", said, "", _figure(cast("list[float]", means[f"calibration error, {way}"])), ""]
        for way, said in ways.items()
        if f"calibration error, {way}" in means
    ]
    return _table(["set", "way", *measures], rows)


def _scope(sets: Sets) -> list[str]:
    rows: list[list[str]] = []
    for name, told in sets.items():
        for way in ("ours", "call", "examples"):
            part = cast("JsonObject", told.get(way, {}))
            if "AUROC" in part:
                inside, outside = cast("list[float]", part["abstained"])
                curve = cast("dict[str, float]", part["accuracy at coverage"])
                at = ", ".join(f"{share}: {value:.2f}" for share, value in curve.items())
                rows.append([name, way, _shown(told, way, "AUROC"), f"{outside:.0%}", f"{inside:.0%}", at])
    head = [
        "set",
        "way",
        "AUROC",
        "abstained, no label fits",
        "abstained, a label fits",
        "accuracy at coverage",
    ]
    return [SCOPE, _table(head, rows)] if rows else []


def _extract(sets: Sets) -> list[str]:
    return [EXTRACT, _measured(sets, ["F1", "exact"], ["plain"]), _costs(sets)] if sets else []


def _summarize(sets: Sets) -> list[str]:
    measures = ["ROUGE-1", "ROUGE-2", "ROUGE-L"]
    return [SUMMARIZE, _measured(sets, measures, ["lead", "plain"]), _costs(sets)] if sets else []


def _measured(sets: Sets, measures: Sequence[str], others: Sequence[str]) -> str:
    head = [
        "set",
        "measure",
        "tool",
        *(other.replace("plain", "plain chat") for other in others),
        "tool, same rows",
    ]
    rows = [
        [name, measure, *(_shown(told, way, measure) for way in ("ours", *others)), _same(told, measure)]
        for name, told in sets.items()
        for measure in measures
    ]
    return _table(head, rows)


def _costs(sets: Sets) -> str:
    head = ["set", "way", "rows", "valid", "unsupported", "s/row", "tokens/row", "decided by"]
    rows: list[list[str]] = []
    for name, told in sets.items():
        for way, part in told.items():
            if isinstance(part, dict) and "rows" in part:
                decided = ", ".join(map(str, cast("list[str]", part["decided by"])))
                share = f"{part['unsupported']:.3f}" if "unsupported" in part else ""
                valid, seconds = f"{part['valid']:.3f}", f"{part['seconds']:.3f}"
                rows.append(
                    [name, way, str(part["rows"]), valid, share, seconds, str(part["tokens"]), decided]
                )
    return _table(head, rows)


def _length(told: Sequence[JsonObject]) -> str:
    head = [name for name in told[0] if name != "covered"]
    rows = [[_tokens(one), *(str(one[name]) for name in head)] for one in told]
    return _table(["tokens", *head], rows)


def _tokens(one: JsonObject) -> str:
    return f"{cast('JsonObject', one['covered'])['tokens']:,}"


def _pairs(told: JsonObject) -> str:
    return _table(["what", "figure"], [[name, str(value)] for name, value in told.items()])


def _part(told: JsonObject, way: str, measure: str) -> list[float] | None:
    part = told.get(way)
    return cast("list[float]", part[measure]) if isinstance(part, dict) and measure in part else None


def _first(told: JsonObject, way: str, measure: str) -> float | None:
    found = _part(told, way, measure)
    return found[0] if found else None


def _shown(told: JsonObject, way: str, measure: str) -> str:
    found = _part(told, way, measure)
    return _figure(found) if found else ""


def _figure(told: Sequence[float]) -> str:
    return f"{told[0]:.3f} [{told[1]:.2f}, {told[2]:.2f}]"


def _same(told: JsonObject, measure: str) -> str:
    part = told.get("ours, rows of plain")
    return f"{part[measure]:.3f}" if isinstance(part, dict) and measure in part else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([*lines, ""])
