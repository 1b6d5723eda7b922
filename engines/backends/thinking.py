"""Removes a model's reasoning from the answer text if the server did not.

Servers separate the reasoning if they know the model's format. A model imported as a bare file leaves
it in the text, between the tags most open models use.
"""

from collections.abc import Sequence

from engines.base import TextDelta

OPENING, CLOSING = "<think>", "</think>"


class ThoughtFilter:
    """Removes a ``<think>`` block at the start of one streamed answer."""

    def __init__(self) -> None:
        self._held: list[TextDelta] | None = []

    def feed(self, delta: TextDelta) -> Sequence[TextDelta]:
        """Returns the deltas to emit now: none inside a block, or while one may be starting."""
        if self._held is None:
            return (delta,)
        self._held.append(delta)
        text = self._text()
        if text.startswith(OPENING):
            _, closed, answer = text.partition(CLOSING)
            if closed:
                self._held = None
            return (TextDelta(answer.lstrip()),) if answer.strip() else ()
        return () if OPENING.startswith(text) else self.flush()

    def flush(self) -> Sequence[TextDelta]:
        """Returns the held deltas that are not reasoning; call it at the end of the stream."""
        thought = self._text().startswith(OPENING)
        held, self._held = self._held or (), None
        return () if thought else held

    def _text(self) -> str:
        return "".join(delta.text for delta in self._held or ()).lstrip()
