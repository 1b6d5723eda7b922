"""How text is put before a model: as data, between marks it cannot forge.

A mark carries a code taken from the text's own hash that the text does not hold, so no text can
hold its own end mark; equal texts get equal marks, so that caches still work.
"""

import re
from collections.abc import Sequence
from hashlib import sha256

from engines.base import Message

ORDERS = re.compile(
    r"(?<!n't )(?<!not )\b(?:ignore|disregard|forget|override)\b[^.\n]{0,40}?"
    r"\b(?:(?:previous|prior|above|earlier|your|all|any|these|those|system|other) (?:\w+ )?"
    r"(?:instructions?|prompts?|rules|guidelines|directions)\b"
    r"|(?:instructions?|prompts?|rules|everything|anything|all) (?:in the )?(?:above|before|previous)\b"
    r"|(?:everything|anything|all) you (?:were|have been) told\b)"
    r"|\byou are now (?:an?|the|in|free|called)\b|\byou must now\b|\bfrom now on,? you (?:are|must|will)\b"
    r"|\bnew (?:system )?(?:instructions?|prompt)\s*:"
    r"|\b(?:reveal|print|repeat|show|output|leak)\b[^.\n]{0,30}"
    r"\b(?:system|your|initial) (?:prompt|instructions)\b"
    r"|\b(?:attention|note|message|instructions?),? (?:(?:to|for) )?(?:the |any |all )?"
    r"(?:ai|llms?|language models?)\b"
    r"|</?(?:system|instructions?)>|<\|(?:im_start|im_end|system|user|assistant|endoftext)\|>"
    r"|(?-i:\[/?INST\])|<</?SYS>>|<(?:start|end)_of_turn>"
    r"|<!--\s*(?:assistant|ai|llm|model)\s*:"
    r"|\b(?:dear|hey|hello|hi),? (?:ai |virtual )?(?:assistant|chatbot)\b"
    r"|\b(?:output|reply|respond|answer|return)\b[^.\n]{1,40}\band nothing else\b"
    r"|\b(?:vergiss|ignoriere?|missachte)\b[^.\n]{0,30}\banweisungen\b"
    r"|\b(?:ignore[rz]?|oublie[rz]?)\b[^.\n]{0,30}\b(?:instructions|consignes) pr[ée]c[ée]dentes\b"
    r"|\b(?:ignor[ae]|olvida|esquece)\b[^.\n]{0,30}\b(?:instrucciones|instruç[õo]es|istruzioni)\b",
    re.IGNORECASE,
)
"""Phrases of texts that give orders to a model rather than inform a reader."""
CUES = (
    "instruction", "prompt", "rules", "guideline", "direction", "above", "before", "previous", " told",
    " now", " ai", " llm", "language model", "system>", "<|", "[inst", "[/inst", "sys>", "_of_turn",
    "<!--", "assistant", "chatbot", "nothing else", "anweisungen", "dentes", "instrucciones", "istruzioni",
    "instruç",
)  # fmt: skip
"""One of these is in every such phrase, and much faster to look for."""


def fenced(text: str, name: str = "text") -> str:
    """``text`` between an opening and a closing mark that do not occur in it."""
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    held = text.lower()
    code = next(digest[:size] for size in range(6, len(digest) + 1) if digest[:size] not in held)
    return f"<{name} {code}>\n{text.strip()}\n</{name} {code}>"


def gives_orders(text: str) -> str:
    """The first phrase of ``text`` that looks like an order to the model, or an empty string."""
    for line in text.split("\n"):
        lowered = line.lower()
        if any(cue in lowered for cue in CUES) and (found := ORDERS.search(line)):
            return found[0]
    return ""


def asking(system: Sequence[str], user: str) -> tuple[Message, ...]:
    """Our instructions, then the data: the constant part first, so that prompt caches serve it."""
    said = "\n".join(part for part in system if part)
    return (Message("system", said), Message("user", user))
