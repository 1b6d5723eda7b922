"""Renders docs/quality.md from the figures."""

from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from benchmarks.scores import MEASURES
from engines.base import JsonObject, JsonValue

Figures = Mapping[str, JsonValue]
Sets = dict[str, JsonObject]

HEAD = """# Quality of the answers

Made by `python -P -m benchmarks.quality --report --write` from the raw answers it keeps; do not edit by
hand. The figures are in `benchmarks/quality.json`.

*Tool* is `classify`, `extract`, `summarize` or `chat` as an agent calls it, with no examples. *Plain chat* is
one request a row to the same model with the same instruction and text (its first 12,000 characters), the
answer under a JSON schema where the task has one, at temperature 0: what a simple client does. Both get the
same rows, taken at equal steps. Scores: accuracy for classification, micro F1 over the field values for
extraction (nested values by path), ROUGE-L against a human text for summaries, token F1 for questions
(SQuAD). The difference is in points, with its 95 % interval over 1,000 paired bootstrap resamples of the
rows. A difference whose interval holds zero is not a result, and under about ten rows the interval itself is
too narrow: such a line is a sign, no more. A mean over a task weighs its sets equally. Seconds are coarse:
the two cores were busy with other work, and a set's first row may include loading the model. Rows of four
sets asked over HTTP got the same answers from the tools; single answers of plain chat depend on what the
engine served before. SmolLM2-135M is the model of the test suite, too small for use: of it only the times
below remain.
"""

CONFIDENCE = """### Calibration

*ECE*: expected calibration error of the label's confidence (ten bins). *Coverage at 90 %*: the share of rows,
most confident first, of which nine in ten are right. With few rows the ECE is biased upwards.
"""

SCOPE = """### Texts no label fits

*AUROC*: how often a text that some label fits has the higher confidence of the two; 0.5 is chance.
*Abstained* counts without `min_confidence`. A text no label fits is never right in *accuracy at coverage*.
"""

EXAMPLES = """### Ten examples a label

Accuracy of `classify` with ten examples a label, from rows that were not asked, against none.
"""

LENGTH = """### Length

One text of 10,000, 50,000 and 100,000 tokens, summarized, then asked for a fact that stands at 95 % of it
(`benchmarks/length.py`).
"""

SPEED = """### 200 items in one call

One classify call of 200 short items against single plain chat calls with the same labels
(`benchmarks/speed.py`).
"""


def document(found: Figures) -> str:
    """Returns the page, one section per engine and model, by descending score of plain chat."""
    models = cast("dict[str, JsonObject]", found)
    order = sorted(models, key=lambda name: -_capability(models[name]))
    return "\n".join([HEAD, *(part for name in order for part in _of_model(name, models[name]))])


def _capability(figures: JsonObject) -> float:
    gains = [cast("JsonObject", entry["gain"]) for entry in _sets(figures).values() if "gain" in entry]
    return sum(cast("float", gain["second"]) for gain in gains) / max(1, len(gains))


def _of_model(name: str, figures: JsonObject) -> Iterator[str]:
    yield f"## {name}\n"
    sets = _sets(figures)
    if figures.get("commit"):
        yield f"Measured at commit {figures['commit']}.\n"
    if means := cast("Sets", figures.get("means", {})):
        yield _compared(sets, means)
        yield _verdict(sets, means)
    confident = [*_ways(sets, "calibration error")]
    if confident:
        head = ["set", "way", "rows", "accuracy", "ECE", "coverage at 90 %"]
        yield CONFIDENCE
        yield _table(head, [*(_confidence(*one) for one in confident), *_mean_errors(confident)])
    if scoped := [*_ways(sets, "AUROC")]:
        head = ["set", "way", "AUROC", "abstained, no label fits", "abstained, a label fits"]
        yield SCOPE
        yield _table([*head, "accuracy at coverage"], [_scope(*one) for one in scoped])
    if with_examples := {name: entry for name, entry in sets.items() if "gain of examples" in entry}:
        yield EXAMPLES
        head = ["set", "rows", "ten examples", "none", "difference"]
        yield _table(
            head, [[name, *_gain(entry, "gain of examples")] for name, entry in with_examples.items()]
        )
    if "length" in figures:
        yield LENGTH
        yield _length(cast("list[JsonObject]", figures["length"]))
    if "speed" in figures:
        yield SPEED
        speed = cast("JsonObject", figures["speed"])
        yield _table(["what", "figure"], [[what, str(value)] for what, value in speed.items()])


def _sets(figures: JsonObject) -> Sets:
    return cast("Sets", figures.get("sets", {}))


def _compared(sets: Sets, means: Sets) -> str:
    """Returns the table of every set in both ways, by task, and the means of each task."""
    head = ["set", "task", "rows", "tool", "plain chat", "difference", "tool s/row", "plain s/row"]
    rows = [
        [name, task, *_gain(entry, "gain"), _seconds(entry, "ours"), _seconds(entry, "plain")]
        for task in means
        for name, entry in sets.items()
        if entry["task"] == task and "gain" in entry
    ]
    rows += [
        [f"**mean, {MEASURES[task]}**", task, *_gain(entry, "gain"), "", ""]
        for task, entry in means.items()
        if "gain" in entry
    ]
    return _table(head, rows)


def _gain(entry: JsonObject, key: str) -> list[str]:
    gain = cast("JsonObject", entry[key])
    difference, low, high = (100 * value for value in cast("list[float]", gain["difference"]))
    return [
        str(gain["rows"]),
        f"{gain['first']:.3f}",
        f"{gain['second']:.3f}",
        f"{difference:+.1f} [{low:+.1f}, {high:+.1f}]",
    ]


def _verdict(sets: Sets, means: Sets) -> str:
    """Returns a sentence on where the tool loses to plain chat."""
    lost = {name: cast("str", entry["task"]) for name, entry in sets.items() if _difference(entry) < 0}
    said = [
        f"{task} ({100 * _difference(entry):+.1f} points on average; behind on "
        f"{', '.join(name for name in lost if lost[name] == task) or 'no set'})"
        for task, entry in means.items()
        if _difference(entry) < 0
    ]
    others = [name for name, task in lost.items() if _difference(means[task]) >= 0]
    verdict = f"**The tool loses to plain chat on {'; '.join(said) or 'no task on average'}.**"
    return f"{verdict} It is also behind on {', '.join(others)}.\n" if others else f"{verdict}\n"


def _difference(entry: JsonObject) -> float:
    gain = cast("JsonObject", entry.get("gain", {}))
    return cast("list[float]", gain["difference"])[0] if gain else 0.0


def _seconds(entry: JsonObject, way: str) -> str:
    return f"{cast('JsonObject', entry[way])['seconds']:.2f}"


def _ways(sets: Sets, measure: str) -> Iterator[tuple[str, str, JsonObject]]:
    """Yields set, way and figures where ``measure`` was taken."""
    ways = {"ours": "one a call", "call": "all in one call", "examples": "ten examples"}
    for name, entry in sets.items():
        for way, said in ways.items():
            part = cast("JsonObject", entry.get(way, {}))
            if measure in part:
                yield name, said, part


def _confidence(name: str, way: str, part: JsonObject) -> list[str]:
    measures = ("accuracy", "calibration error", "coverage at 90 %")
    return [name, way, str(part["rows"]), *(_figure(part[measure]) for measure in measures)]


def _mean_errors(confident: Sequence[tuple[str, str, JsonObject]]) -> Iterator[list[str]]:
    for way in dict.fromkeys(way for _, way, _ in confident):
        errors = [cast("list[float]", part["calibration error"])[0] for _, w, part in confident if w == way]
        yield [f"**mean of {len(errors)} sets**", way, "", "", f"{sum(errors) / len(errors):.3f}", ""]


def _scope(name: str, way: str, part: JsonObject) -> list[str]:
    inside, outside = cast("list[float]", part["abstained"])
    curve = cast("dict[str, float]", part["accuracy at coverage"])
    at = ", ".join(f"{share}: {value:.2f}" for share, value in curve.items())
    return [name, way, _figure(part["AUROC"]), f"{outside:.0%}", f"{inside:.0%}", at]


def _length(entry: Sequence[JsonObject]) -> str:
    head = [name for name in entry[0] if name != "covered"]
    rows = [
        [f"{cast('JsonObject', one['covered'])['tokens']:,}", *(str(one[name]) for name in head)]
        for one in entry
    ]
    return _table(["tokens", *head], rows)


def _figure(entry: JsonValue) -> str:
    value, low, high = cast("list[float]", entry)
    return f"{value:.3f} [{low:.2f}, {high:.2f}]"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([*lines, ""])
