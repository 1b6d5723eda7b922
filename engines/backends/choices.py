"""Reads a choice that an engine could only be asked for as a JSON string. No I/O."""

import json
from collections.abc import Sequence

from engines.base import TextDelta, TokenLogprob


def unquoted(deltas: Sequence[TextDelta]) -> TextDelta:
    """Removes the JSON quotes around a choice.

    Servers that ignore the format (Ollama 0.17 to 0.20 with ``think`` off) send it without quotes. Quotes
    are also removed from the logprob tokens, and tokens that become empty are dropped.
    """
    text = "".join(delta.text for delta in deltas).strip()
    try:
        choice = json.loads(text)
    except ValueError:
        choice = None
    bare = [_bare(token) for delta in deltas for token in delta.logprobs]
    return TextDelta(
        choice if isinstance(choice, str) else text.strip('"'), tuple(token for token in bare if token.token)
    )


def _bare(position: TokenLogprob) -> TokenLogprob:
    top = ((token.strip('"'), logprob) for token, logprob in position.top)
    return TokenLogprob(
        position.token.strip('"'),
        position.logprob,
        tuple((token, logprob) for token, logprob in top if token),
    )
