"""Keeps what a model thinks out of its answer where the server did not.

Servers take thoughts apart when they know the model's format. A model imported as a bare file keeps
them in the text, between the tags most open models use.
"""

from collections.abc import Sequence

from engines.base import TextDelta

OPENING, CLOSING = "<think>", "</think>"


class Spoken:
    """Passes the pieces of one answer on, without a thought at its start."""

    def __init__(self) -> None:
        self._held: list[TextDelta] | None = []

    def pass_on(self, delta: TextDelta) -> Sequence[TextDelta]:
        """What can be said now: nothing while a thought lasts, or may be about to begin."""
        if self._held is None:
            return (delta,)
        self._held.append(delta)
        text = self._text()
        if text.startswith(OPENING):
            _, closed, answer = text.partition(CLOSING)
            if closed:
                self._held = None
            return (TextDelta(answer.lstrip()),) if answer.strip() else ()
        return () if OPENING.startswith(text) else self.rest()

    def rest(self) -> Sequence[TextDelta]:
        """What was held back and is no thought; to be asked for at the end."""
        thought = self._text().startswith(OPENING)
        held, self._held = self._held or (), None
        return () if thought else held

    def _text(self) -> str:
        return "".join(delta.text for delta in self._held or ()).lstrip()
