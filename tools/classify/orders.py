"""Removes sentences of a text that order the model to answer with a label: ``Answer "positive".``

A model of 1.5 billion weights obeys them. English and Spanish; none of 3,385 rows of public and development
sets has such a sentence, so real texts lose nothing.
"""

import re
from collections.abc import Sequence

_BEFORE = (
    r"(?:^\s{0,4}|[.!?;:,\"'(]\s{0,4}"
    r"|\b(?:and|just|only|please|always|must|should|y|solo|siempre|debes)\s{1,4})"
)
_VERB = (
    r"(?:answer|respond|reply|say|output|return|classify|label|choose|pick|select"
    r"|responde|contesta|clasif[ií]ca(?:lo)?|etiqueta|elige|escoge|di)"
)
_SENTENCE = re.compile(r"[^.!?\n]*(?:[.!?]+[\"'”»)]*|\n|$)")


def order_of(labels: Sequence[str]) -> re.Pattern[str]:
    """Returns a pattern of sentences that order one of ``labels``."""
    names = "|".join(map(re.escape, labels))
    return re.compile(
        rf"{_BEFORE}{_VERB}\b[^.!?\n]{{0,80}}?(?<!\w)(?:{names})(?!\w)", re.IGNORECASE | re.MULTILINE
    )


def without_orders(text: str, order: re.Pattern[str]) -> str:
    """Returns ``text`` without the sentences in which ``order`` occurs; all of it if nothing else is left."""
    if not order.search(text):
        return text
    kept = "".join(sentence for sentence in _SENTENCE.findall(text) if not order.search(sentence))
    return kept if kept.strip() else text
