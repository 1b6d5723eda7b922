"""Looks up the locked packages in the database of known vulnerabilities: the last step of ``make lint``.

pip-audit runs in an environment of its own, made by uv: as a dependency it would add twenty packages to the
lock. Where the database is not in reach, this prints a line and succeeds.
"""

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TypedDict

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
TOOL = "pip-audit>=2.10,<3"
OPTIONS = ("--disable-pip", "--require-hashes", "--format=json", "--progress-spinner=off", "--timeout=3")
LIMIT_S = 30


class Fault(TypedDict):
    id: str
    fix_versions: list[str]


class Package(TypedDict):
    name: str
    version: str
    vulns: list[Fault]


def known(requirements: str) -> list[Package]:
    """Returns the packages of ``requirements`` that the database knows; none if it is not in reach."""
    uv = str(Path(sys.executable).with_name("uv"))
    environment = {**os.environ, "UV_HTTP_TIMEOUT": "3", "UV_HTTP_RETRIES": "0"}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "requirements.txt")
        file.write_text(requirements)
        command = [uv, "tool", "run", "--from", TOOL, "pip-audit", *OPTIONS, "-r", str(file)]
        try:
            done = subprocess.run(command, env=environment, capture_output=True, check=False, timeout=LIMIT_S)
            packages: list[Package] = json.loads(done.stdout)["dependencies"]
        except (subprocess.TimeoutExpired, ValueError):
            return []
    return [package for package in packages if "vulns" in package]


def main() -> int:
    lock = LOCK.read_text(encoding="utf-8")
    first = re.split(r"\n(?=\S)", lock)[0]
    # One package first: without a database, the hundred others would each wait for it.
    packages = known(first) and known(lock)
    if not packages:
        print("pip-audit: skipped, the database of vulnerabilities is not in reach")
        return 0
    faults = [(package, fault) for package in packages for fault in package["vulns"]]
    for package, fault in faults:
        fixed = ", ".join(fault["fix_versions"]) or "no version"
        print(f"{package['name']} {package['version']}: {fault['id']}, fixed in {fixed}")
    print(f"pip-audit: {len(packages)} packages, {len(faults)} known vulnerabilities")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
