"""``python -m tests.vllm``: builds the environment, trains the adapters, runs every test of a real vLLM."""

import subprocess
import sys
import time

from tests.vllm.weights import prepare

if __name__ == "__main__":
    began = time.monotonic()
    prepare()
    print(f"environment and adapters ready after {time.monotonic() - began:.0f} s", flush=True)
    tests = ["-m", "pytest", "-m", "vllm", "--durations=0", "tests/vllm", *sys.argv[1:]]
    sys.exit(subprocess.run([sys.executable, *tests], check=False).returncode)
