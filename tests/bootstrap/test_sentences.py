"""Whatever stands in the way of a start is said in one plain sentence that names the way out."""

import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local import bootstrap, debs, preflight, steps
from deploy.local.steps import ROOT, Trouble

SOMEBODY = 65534


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield int(listener.getsockname()[1])


def run(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words, check=False, capture_output=True, text=True, cwd=ROOT, timeout=60, env={**os.environ, **environment}
    )


def test_a_taken_port_is_named_with_the_command_for_another_one(taken: int, tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "deploy.local.bootstrap", "run", PORT=str(taken), PORTAL_VAR=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == (
        f"Port {taken} is taken by another program; choose another one: PORT={taken + 1} ./dev run\n"
    )


@pytest.mark.parametrize("port", ["abc", "0", "65536", "-1", "8000.5"])
def test_a_port_that_is_none(port: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", port)
    with pytest.raises(Trouble, match="not a port number"):
        preflight.port()


def test_no_port_is_the_usual_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "")
    assert preflight.port() == 8000


def test_a_full_disk_is_named_with_what_is_needed(tmp_path: Path) -> None:
    with pytest.raises(Trouble, match=r"disk is too full.* needs 1000000\.0 GB free and has"):
        preflight.space(10**15, tmp_path)


@pytest.fixture
def as_somebody() -> Iterator[None]:
    """Root may write everywhere, so root asks as somebody else."""
    before = os.geteuid()
    os.seteuid(SOMEBODY if before == 0 else before)
    yield
    os.seteuid(before)


@pytest.fixture
def shut_folder() -> Iterator[Path]:
    """A folder that all may enter and none but root may write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)


@pytest.mark.usefixtures("as_somebody")
def test_a_folder_that_cannot_be_written_is_named(shut_folder: Path) -> None:
    with pytest.raises(Trouble, match=re.escape(f"{shut_folder} cannot be written by ")):
        preflight.folder(shut_folder)


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("Temporary failure in name resolution", "a download failed; is this machine online?"),
        ("error: Failed to fetch: `…`\n  Caused by: client error (Connect)", "a download failed"),
        ("OSError: [Errno 28] No space left on device", "the disk is full"),
        ("THESE PACKAGES DO NOT MATCH THE HASHES FROM THE REQUIREMENTS FILE.", "DO NOT MATCH THE HASHES"),
    ],
)
def test_a_failed_step_is_explained_from_what_it_said(said: str, sentence: str) -> None:
    explained = steps.explain("Installing Python packages (98)", said)
    assert explained.startswith("Installing Python packages (98)")
    assert sentence in explained
    assert "bootstrap.log" in explained


def test_a_step_that_fails_raises_and_keeps_everything_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "LOG", tmp_path / "log" / "bootstrap.log")
    with pytest.raises(Trouble, match=r"(?s)Counting failed:.*two"):
        steps.quietly("Counting", ["sh", "-c", "echo one; echo two >&2; exit 1"])
    assert (tmp_path / "log" / "bootstrap.log").read_text().endswith("one\ntwo\n")


def test_without_apt_the_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(Trouble, match=r"package manager.*: libpango-1.0-0 libfoo"):
        debs.install(["libpango-1.0-0", "libfoo"])


def test_the_stamp_changes_with_the_lock_and_with_what_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert bootstrap.stamp("run") == bootstrap.stamp("check") != bootstrap.stamp("test")
    before = bootstrap.stamp("run")
    lock = tmp_path / "requirements-dev.lock"
    lock.write_bytes(bootstrap.LOCKS[0].read_bytes() + b"# one more line\n")
    monkeypatch.setattr(bootstrap, "LOCKS", (lock, bootstrap.LOCKS[1]))
    assert bootstrap.stamp("run") != before


def test_an_unknown_verb_is_answered_with_the_known_ones() -> None:
    done = run("./dev", "fly")
    assert done.returncode == 2
    assert "There is no ./dev fly." in done.stderr
    assert "./dev run" in done.stderr
