"""Fixture for tests that hold however a whole answer is asked for."""

from collections.abc import Iterator

import pytest

from engines.base import Engine


@pytest.fixture(params=["whole", "streamed"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Has ``complete`` ask for a whole answer, or collect the stream, in every engine and middleware."""
    if request.param == "streamed":
        for kind in _subclasses(Engine):
            if "complete" in vars(kind):
                monkeypatch.setattr(kind, "complete", Engine.complete)
    return request.param


def _subclasses(kind: type) -> Iterator[type]:
    for below in kind.__subclasses__():
        yield below
        yield from _subclasses(below)
