"""Token estimates: no network access, and their error bounds."""

import socket
import tempfile
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines import tokens
from engines.tokens import BYTES, LazyEstimator, load

ROOT = Path(__file__).parents[2]


@pytest.fixture
def uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a wheel with ranks but without a compiled counter."""
    monkeypatch.setattr(tokens, "_compiled", lambda: None)


@pytest.mark.usefixtures("uncompiled")
def test_the_ranks_come_out_of_the_wheel_and_nothing_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_network(*_: object, **__: object) -> None:
        raise AssertionError("a token estimate asked the network")

    monkeypatch.setattr(socket, "create_connection", no_network)
    monkeypatch.setattr(socket.socket, "connect", no_network)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path / "empty"))
    estimator = load(tmp_path / "ours")
    assert estimator.method == "tiktoken"
    assert estimator.count("hello world") == 2


@given(st.text(st.characters(), max_size=200))
def test_the_compiled_counter_counts_as_tiktoken_does(text: str) -> None:
    assert load(Path()).count(text) == by_tiktoken().count(text)


def test_the_compiled_counter_is_there_and_takes_documents_and_halves_of_pairs(tmp_path: Path) -> None:
    compiled, exact = load(tmp_path), by_tiktoken()
    assert (compiled.method, exact.method) == ("bpe-openai", "tiktoken")
    for text in [(ROOT / "README.md").read_text(), "half of an emoji: \ud83d", "a" * 5000, ""]:
        assert compiled.count(text) == exact.count(text)


@cache
def by_tiktoken() -> tokens.Estimator:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tokens, "_compiled", lambda: None)
        return load(Path(tempfile.gettempdir(), "local-llm-agent-tokens"))


@pytest.mark.usefixtures("uncompiled")
def test_without_ranks_bytes_are_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))

    def not_installed(_: str) -> None:
        return None

    monkeypatch.setattr(tokens.importlib.util, "find_spec", not_installed)
    estimator = load(tmp_path / "ours")
    assert estimator.method == "bytes"
    assert estimator.count("12345678") == 2


@pytest.mark.usefixtures("uncompiled")
def test_an_unwritable_cache_falls_back_to_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    (tmp_path / "file").write_text("in the way")
    assert load(tmp_path / "file").method == "bytes"


FIGURES = ("quality.md", "performance.md", "licences.md")
"""Documents with many numbers, whose tokens are short."""


def test_bytes_are_within_a_third_of_the_exact_count_on_our_own_documents(tmp_path: Path) -> None:
    exact = load(tmp_path)
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "tools").rglob("[!_]*.py")]:
        text, bound = document.read_text(), 1 / 2 if document.name in FIGURES else 1 / 3
        assert abs(BYTES.count(text) / exact.count(text) - 1) < bound, document


def test_a_sampled_count_is_within_a_tenth_of_the_exact_one(tmp_path: Path) -> None:
    exact = load(tmp_path)
    text = "".join(file.read_text() for file in sorted((ROOT / "tools").rglob("[!_]*.py"))) * 6
    assert len(text) > tokens.ENCODED_WHOLE
    assert abs(exact.count(text) / exact.encode(text) - 1) < 0.1


@pytest.mark.anyio
async def test_the_estimator_is_loaded_once(tmp_path: Path) -> None:
    lazy = LazyEstimator(tmp_path)
    assert await lazy.get() is await lazy.get()
