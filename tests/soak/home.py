"""The home of a soak's user: folders on a small disk, settings, and the processes that use them."""

import json
import os
import subprocess
from collections.abc import Generator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from engines.models import pull as models

DISK_MIB = 48
"""Ledger, cache and results files of half an hour take a tenth of it."""
PROJECT = "soak"
IDLE_S = 5
"""The engine exits after so long without a request, at the end of the soak."""
NOTES = "\n".join(
    f"- case {number}: {'done' if number % 3 else 'open'}, printed twice" for number in range(40)
)


@dataclass(frozen=True, slots=True)
class Home:
    folder: Path
    has_disk: bool
    """Whether the data folder is a file system of its own, which can be filled."""

    @property
    def data(self) -> Path:
        return self.folder / "local-llm-agent"

    @property
    def project(self) -> Path:
        return self.folder / PROJECT

    @property
    def runtime(self) -> Path:
        return self.folder / "run" / "local-llm-agent"

    @property
    def config(self) -> Path:
        return self.folder / "config.toml"

    @property
    def environment(self) -> dict[str, str]:
        folders = dict.fromkeys(("HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME"), str(self.folder))
        return {
            **folders,
            "PATH": os.environ["PATH"],
            "XDG_RUNTIME_DIR": str(self.folder / "run"),
            "TMPDIR": str(self.folder / "tmp"),
            "LOCAL_LLM_CONFIG": str(self.config),
        }

    def fill(self) -> None:
        """Fills the disk to the last byte."""
        with suppress(OSError), self._filler.open("wb", buffering=0) as file:
            while file.write(b"\0" * 4096):
                pass

    def free(self) -> None:
        self._filler.unlink(missing_ok=True)

    @property
    def _filler(self) -> Path:
        return self.data / "filler"

    def processes(self) -> list[psutil.Process]:
        """Returns the processes that run with these settings: servers, engine, launchers."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def process_of(self, command: str) -> int:
        """Returns the process id of a command of local-llm-agent."""
        (found,) = [process.pid for process in self.processes() if process.cmdline()[-1:] == [command]]
        return found

    def _owns(self, process: psutil.Process) -> bool:
        try:
            return process.environ().get("LOCAL_LLM_CONFIG") == str(self.config)
        except (psutil.Error, OSError):
            return False


@contextmanager
def home(folder: Path, model: str, deadline_s: float) -> Generator[Home]:
    """Makes the folders in ``folder``; the data folder on a disk of its own if this user may mount one."""
    found = Home(folder, has_disk=_mount(folder / "local-llm-agent"))
    try:
        for each in (found.project, folder / "tmp", folder / "run"):
            each.mkdir(mode=0o700)
        (found.data / "models").symlink_to(models.models_folder())
        (found.project / "notes.txt").write_text(NOTES)
        found.config.write_text(
            f'engine = "llamacpp"\nlimits.deadline_s = {deadline_s}\nllamacpp.context = 8192\n'
            f'llamacpp.model = "{model}"\nllamacpp.idle_seconds = {IDLE_S}\n'
            f"projects.{PROJECT}.paths = [{json.dumps(str(found.project))}]\n"
        )
        yield found
    finally:
        if found.has_disk:
            subprocess.run(["umount", "--lazy", str(found.data)], check=False)


def _mount(folder: Path) -> bool:
    folder.mkdir(mode=0o700)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_MIB}m,mode=700", "tmpfs", str(folder)]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False
