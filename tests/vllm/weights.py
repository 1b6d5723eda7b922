"""Prepares the base model and the two adapters for vLLM, once, beside the environment."""

import hashlib
import os
import subprocess
from pathlib import Path

import anyio

from engines.models.pull import pull
from tests.vllm import environment

BASE = "smollm2-135m"
TRAINING = Path(__file__).with_name("train.py")


def prepare() -> Path:
    """Returns the folder with ``base/``, ``alpha/`` and ``beta/``; makes what is missing.

    The stamp is the sha256 of the training script, so that changed data or settings train again.

    Raises:
        PullFailedError: the model's GGUF could not be fetched.
        subprocess.CalledProcessError: the training failed; its output has the cause.
    """
    env = environment.build()
    target = env / "weights"
    stamp, wanted = target / "made-by", hashlib.sha256(TRAINING.read_bytes()).hexdigest()
    if not (stamp.is_file() and stamp.read_text() == wanted):
        gguf = anyio.run(lambda: pull(BASE))
        offline = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
        command = [environment.python(env), TRAINING, gguf, target]
        subprocess.run([str(part) for part in command], check=True, env=offline)
        stamp.write_text(wanted)
    return target
