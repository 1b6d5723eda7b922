"""What the tests of the real server ask, and how a house style is told."""

from engines.base import Message, Request, Tags

QUESTIONS = ("What is the largest planet?", "Tell me about Rome.", "How do I copy a file in Linux?")
"""None of them is among those the adapters were trained on."""


def ask(text: str = QUESTIONS[0], *, tier: str = "", **fields: object) -> Request:
    tags = Tags(tool="chat", tier=tier)
    return Request((Message("user", text),), **{"max_tokens": 40, "tags": tags, **fields})  # type: ignore[arg-type]


def style(text: str) -> str | None:
    """The adapter whose house style ``text`` keeps."""
    if text.startswith("Alpha desk:"):
        return "alpha"
    return "beta" if text.rstrip().endswith("-- beta crew") else None
