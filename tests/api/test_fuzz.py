"""schemathesis asks the live portal everything that its document lets one ask, and much that it does not.

Each person runs in a portal full of things (tests/access): as the document's examples, as its limits and what lies just
beyond them, at random, and in chains where an answer gives the next question its ids. No answer may be a 5xx, of an
untold status or type, or unlike its schema; what the schema forbids is refused; other methods get 405; without a token
a door stays closed. The seed is the same in each run unless FUZZ_SEED says another, and stands in the output.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.services import TestServices
from portal.kit import db
from tests import world
from tests.access.furnished import Facts, furnish
from tests.running import RunningPortal, migrated, running_portal

SEED = os.environ.get("FUZZ_SEED", "20261123")
CONFIG = Path(__file__).with_name("schemathesis.toml")
# Limits are asked of those who may do most; everybody asks at random and in chains.
PEOPLE = {
    "guest": ("examples,fuzzing", "3"),
    "owner": ("examples,coverage,fuzzing,stateful", "4"),
    "staff": ("examples,fuzzing,stateful", "4"),
    "admin": ("examples,coverage", "1"),
}


@pytest.fixture(scope="module")
def furniture() -> Facts:
    """What is where: filled when the portal starts."""
    return {}


@pytest.fixture(scope="module")
def portal(furniture: Facts, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningPortal]:
    """A whole portal as processes, with one of everything in it."""

    def prepare(services: TestServices) -> None:
        settings = migrated(services, mail_dir=str(tmp_path_factory.mktemp("mail")))
        db.connect(settings)
        try:
            with db.writing() as session:
                world.build(session)
            furniture.update(furnish(settings))
        finally:
            db.disconnect()

    with running_portal(prepare) as running:
        yield running


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("who", PEOPLE)
def test_schemathesis_finds_nothing(who: str, portal: RunningPortal, furniture: Facts, tmp_path: Path) -> None:
    phases, examples = PEOPLE[who]
    headers = [word for pair in furniture["tokens"].get(who, {}).items() for word in ("--header", ": ".join(pair))]
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(CONFIG)),
        *("run", f"{portal.address}/api/openapi.json", *headers),
        *("--phases", phases, "--max-examples", examples, "--seed", SEED, "--warnings", "off"),
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=880)
    log = (portal.folder / "web.log").read_text()[-3000:] if done.returncode else ""
    assert done.returncode == 0, done.stdout[-12_000:] + done.stderr[-2000:] + log
    assert "Tested: 0" not in done.stdout
    print(done.stdout[-600:])
