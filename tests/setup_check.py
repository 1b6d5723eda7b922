"""Checks `make setup` with every supported Python of this machine, each with its own pip.

`make test-setup` and `make lock` run this outside any environment, with the standard library only.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SUPPORTED = ("3.11", "3.12", "3.13")
LEAST = 2
"""Least number of Python versions: markers and pip differ between them."""
PROBE_S = 20
SETUP_S = 1200
USE_S = 120
SHOWN = 12
"""Last lines shown of a failed command: pip reports the cause at the end."""

# A pyenv shim without a version does not run; a Python without ensurepip cannot make an environment.
# The wheels we depend on need CPython with the GIL.
PROBE = """
import ensurepip, platform, sys, sysconfig, venv
if sys.implementation.name == "cpython" and not sysconfig.get_config_var("Py_GIL_DISABLED"):
    print(sys.executable, platform.python_version(), ensurepip.version(), sep="\\n")
"""
# `pip check` ignores extras; the resolver checks that everything they need is installed and pinned.
RESOLVE = ("-m", "pip", "install", "--dry-run", "--quiet", "--require-hashes", "-r", "requirements.lock")
IMPORTS = """
import importlib, pkgutil
for name in ("mcp_server", "shim", "engines", "tools"):
    for module in pkgutil.walk_packages(importlib.import_module(name).__path__, name + "."):
        importlib.import_module(module.name)
"""


class Python(NamedTuple):
    path: str
    version: str
    pip: str


class Ran(NamedTuple):
    good: bool
    output: str


def kill_group(process: subprocess.Popen[str]) -> None:
    if sys.platform == "win32":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def run(command: Sequence[str], folder: Path, within: float) -> Ran:
    """Runs ``command`` until it ends or times out, then kills the processes it started."""
    # The outer make's variables would reach the inner one; PYTHONPATH would hide missing packages.
    dropped = {"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEFILES", "PYTHONPATH", "PYTHONHOME"}
    with subprocess.Popen(
        command,
        cwd=folder,
        env={name: value for name, value in os.environ.items() if name not in dropped},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        encoding="utf-8",
        errors="replace",
    ) as process:
        try:
            output, _ = process.communicate(timeout=within)
        except subprocess.TimeoutExpired:
            return Ran(False, f"{' '.join(command)}: not done after {within:.0f} s")
        finally:
            if process.poll() is None:
                kill_group(process)
    return Ran(process.returncode == 0, output)


def pythons() -> list[Python]:
    """Returns one per supported version: this interpreter first, then those on PATH, then pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    candidates = [
        Path(sys.executable),
        *(Path(folder, f"python{version}") for version in SUPPORTED for folder in os.get_exec_path()),
        *pyenv.glob("versions/*/bin/python"),
    ]
    found: dict[str, Python] = {}
    for candidate in candidates:
        if not os.access(candidate, os.X_OK):
            continue
        answer = run([str(candidate), "-I", "-c", PROBE], ROOT, PROBE_S)
        lines = answer.output.splitlines()
        if answer.good and len(lines) == len(Python._fields):
            python = Python(*lines)
            found.setdefault(python.version.rpartition(".")[0], python)
    return [found[version] for version in SUPPORTED if version in found]


def copy(target: Path) -> None:
    """Copies tracked and new files, but nothing that git ignores, to ``target``."""
    listed = run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT, PROBE_S)
    if not listed.good:
        sys.exit(f"git cannot list the files of {ROOT}:\n{listed.output}")
    for name in filter(None, listed.output.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def check(python: Python) -> Ran:
    """Sets up a clean copy and uses the installation from another folder."""
    with tempfile.TemporaryDirectory(prefix="local-llm-agent-") as name:
        tree, elsewhere = Path(name, "tree"), Path(name, "elsewhere")
        tree.mkdir()
        elsewhere.mkdir()
        copy(tree)
        binaries = tree / ".venv" / "bin"
        interpreter = str(binaries / "python")
        steps: list[tuple[list[str], Path, float]] = [
            (["make", "setup", f"PYTHON={python.path}"], tree, SETUP_S),
            ([interpreter, *RESOLVE], tree, USE_S),
            ([interpreter, "-P", "-c", IMPORTS], elsewhere, USE_S),
            ([str(binaries / "local-llm-agent"), "--version"], elsewhere, USE_S),
        ]
        for step in steps:
            ran = run(*step)
            if not ran.good:
                return ran
        return Ran(True, "")


def main() -> None:
    found = pythons()
    if len(found) < LEAST:
        names = ", ".join(python.version for python in found) or "none"
        sys.exit(f"{LEAST} of Python {', '.join(SUPPORTED)} are needed, on PATH or in pyenv; found: {names}")
    failed = False
    for python in found:
        began = time.monotonic()
        ran = check(python)
        failed |= not ran.good
        took = time.monotonic() - began
        verdict = "ok" if ran.good else "FAILED"
        print(f"Python {python.version}, pip {python.pip}: {verdict} in {took:.0f} s", flush=True)
        if not ran.good:
            print(*ran.output.splitlines()[-SHOWN:], sep="\n", flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
