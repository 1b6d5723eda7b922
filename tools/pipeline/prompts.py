"""Fences untrusted text in prompts with unforgeable delimiters, and detects instructions in it.

A delimiter carries a code derived from the text's hash that does not occur in the text, so no text can
contain its own end delimiter; equal texts get equal delimiters, so that prompt caches still work.
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
"""Patterns of text that instructs a model rather than informs a reader."""
CUES = (
    "instruction", "prompt", "rules", "guideline", "direction", "above", "before", "previous", " told",
    " now", " ai", " llm", "language model", "system>", "<|", "[inst", "[/inst", "sys>", "_of_turn",
    "<!--", "assistant", "chatbot", "nothing else", "anweisungen", "dentes", "instrucciones", "istruzioni",
    "instruç",
)  # fmt: skip
"""Every such phrase contains one of these; they are much faster to search for."""


PHRASE = 8
"""Words in a row that no answer has in common with a prompt by chance."""
_DELIMITER = re.compile(r"(</?text [0-9a-f]{6,64}>)\n?")


def fenced(text: str) -> str:
    """Returns ``text`` between an opening and a closing delimiter that do not occur in it."""
    digest = sha256(text.encode(errors="surrogatepass")).hexdigest()
    held = text.lower()
    code = next(digest[:size] for size in range(6, len(digest) + 1) if digest[:size] not in held)
    return f"<text {code}>\n{text.strip()}\n</text {code}>"


def gives_orders(text: str) -> str:
    """Returns the first phrase of ``text`` that looks like an instruction to the model, or an empty text."""
    for line in text.split("\n"):
        lowered = line.lower()
        if any(cue in lowered for cue in CUES) and (found := ORDERS.search(line)):
            return found[0]
    return ""


def unfenced(answer: str, prompt: str, source: str) -> str:
    """Returns ``answer`` without the delimiters that it copied from ``prompt``; those of ``source`` stay."""
    written = {*_DELIMITER.findall(answer)}
    copied = written and written & {*_DELIMITER.findall(prompt)} - {*_DELIMITER.findall(source)}
    if not copied:
        return answer
    return _DELIMITER.sub(lambda found: "" if found[1] in copied else found[0], answer).strip()


def repeats(answer: str, prompt: str, source: str) -> bool:
    """Returns whether ``answer`` holds ``PHRASE`` words in a row of ``prompt`` that ``source`` does not."""
    shared = _phrases(answer) & _phrases(prompt)
    return bool(shared and shared - _phrases(source))


def _phrases(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text.lower())
    return {tuple(words[at : at + PHRASE]) for at in range(len(words) - PHRASE + 1)}


def prompt_messages(system: Sequence[str], user: str) -> tuple[Message, ...]:
    """Returns the system and user messages; the constant part comes first for prompt caches."""
    instructions = "\n".join(part for part in system if part)
    return (Message("system", instructions), Message("user", user))
