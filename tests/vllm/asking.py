"""The questions of the tests with a real server, and the detection of an adapter's style."""

from engines.base import Message, Request, Tags

QUESTIONS = ("What is the largest planet?", "Tell me about Rome.", "How do I copy a file in Linux?")
"""The adapters were trained on other questions."""


def ask(text: str = QUESTIONS[0], *, tier: str = "", **fields: object) -> Request:
    tags = Tags(tool="chat", tier=tier)
    return Request((Message("user", text),), **{"max_tokens": 40, "tags": tags, **fields})  # type: ignore[arg-type]


def style(text: str) -> str | None:
    """Returns the adapter whose style ``text`` has."""
    if text.startswith("Alpha desk:"):
        return "alpha"
    return "beta" if text.rstrip().endswith("-- beta crew") else None
