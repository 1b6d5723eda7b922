"""How text is put before a model: as data, between marks it cannot forge.

A mark carries a code taken from the text's own hash, so a text cannot hold its own end mark;
equal texts get equal marks, so that caches still work.
"""

import re
from collections.abc import Sequence
from hashlib import sha256

from engines.base import Message

ORDERS = re.compile(
    r"(?i)\b(?:ignore|disregard|forget)\b.{0,40}\b(?:instructions?|prompts?|rules|above|previous)\b"
    r"|\byou (?:are now|must now)\b|\bnew instructions?\s*:|</?(?:system|instructions?)>"
    r"|<\|(?:im_start|im_end|system|endoftext)\|>|\bsystem prompt\b"
)
"""Phrases of texts that give orders to a model rather than inform a reader."""


def fenced(text: str, name: str = "text") -> str:
    """``text`` between an opening and a closing mark that do not occur in it."""
    code = sha256(text.encode(errors="surrogatepass")).hexdigest()[:6]
    while code in text:
        code = sha256(code.encode()).hexdigest()[:6]
    return f"<{name} {code}>\n{text.strip()}\n</{name} {code}>"


def gives_orders(text: str) -> str:
    """The first phrase of ``text`` that looks like an order to the model, or an empty string."""
    found = ORDERS.search(text)
    return found[0] if found else ""


def asking(system: Sequence[str], user: str) -> tuple[Message, ...]:
    """Our instructions, then the data: the constant part first, so that prompt caches serve it."""
    said = "\n".join(part for part in system if part)
    return (Message("system", said), Message("user", user))
