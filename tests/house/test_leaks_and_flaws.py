"""`./dev check` finds a planted secret and a known vulnerability, and says so when it could not look."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from deploy.local import dependencies, leaks
from portal.kit.settings import ROOT

LOCK = "jinja2==3.1.2 --hash=sha256:" + "0" * 64 + "\nclick==8.1.7 --hash=sha256:" + "1" * 64 + "\n"
FLAW = {"id": "GHSA-0000", "aliases": ["CVE-2024-1"], "summary": "bad", "affected": [], "schema_version": "1.0.0"}


def planted(name: str) -> str:
    """Return something that looks like what `name` says, made up on the spot so that this very file holds none."""
    made = {
        "aws": f'key = "AKIA{"".join(secrets.choice("ABCDEFGHIJKLMNOP234567") for _ in range(16))}"',
        "stripe": f'"sk_live_{secrets.token_hex(12)}"',
        "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
        "random": f'session = "{secrets.token_urlsafe(40)}"',
        "address": f"postgresql://portal:{secrets.token_hex(8)}@db.internal/portal",
        "word": f'api_key = "{secrets.token_hex(9)}"',
    }
    return made[name]


@pytest.mark.parametrize("name", ["aws", "stripe", "private key", "random", "address", "word"])
def test_a_planted_secret_is_found(tmp_path: Path, name: str) -> None:
    file = tmp_path / "config.py"
    file.write_text(f"import os\n{planted(name)}\n")
    assert [line for _file, line, _kind, _hash in leaks.look(str(file))]


def test_plain_code_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "plain.py"
    file.write_text('import os\npassword = os.environ["PASSWORD"]\nname = "portal"\n')
    assert leaks.look(str(file)) == []


def test_the_command_names_the_place_and_fails(tmp_path: Path) -> None:
    file = tmp_path / "config.py"
    file.write_text(planted("stripe"))
    done = subprocess.run(
        [sys.executable, "-m", "deploy.local.leaks", str(file)], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert f"{file}:1: Stripe Access Key" in done.stdout


def test_what_is_reviewed_is_still_there() -> None:
    """An exception whose reason is gone must go, too."""
    reviewed = {(one["file"], one["hash"]) for one in leaks.tomllib.loads(leaks.REVIEWED.read_text())["no_secret"]}
    found = {(file, hash) for file, _line, _kind, hash in leaks.findings(sorted({file for file, _ in reviewed}))}
    assert reviewed <= found


def test_every_tracked_text_of_ours_is_looked_at() -> None:
    names = set(leaks.kept_files())
    assert {"dev", "portal/cli.py", "deploy/production.env.example", "templates/kit/layout.html"} <= names
    assert not any(name.startswith("static/vendor/") or name.endswith(".lock") for name in names)


@contextmanager
def knowing(flaws: dict[str, list[object]], status: int = 200) -> Iterator[str]:
    """A service that knows these vulnerabilities, by package, in the form in which pip-audit asks for them."""

    class Answer(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps({"vulns": flaws[name]} if (name := asked["package"]["name"]) in flaws else {}).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1/query"
        finally:
            server.shutdown()
            thread.join()


def audited(lock: Path, url: str) -> subprocess.CompletedProcess[str]:
    lock.write_text(LOCK)
    environment = {**os.environ, "PIP_AUDIT_VULNERABILITY_SERVICE": "osv", "PIP_AUDIT_OSV_URL": url}
    command = [sys.executable, "-m", "deploy.local.dependencies", str(lock)]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_known_vulnerability_fails_and_is_named(tmp_path: Path) -> None:
    with knowing({"jinja2": [FLAW]}) as url:
        done = audited(tmp_path / "a.lock", url)
    assert done.returncode == 1
    assert "jinja2 3.1.2: " in done.stdout
    assert "click" not in done.stdout


def test_nothing_known_passes_without_a_word(tmp_path: Path) -> None:
    with knowing({}) as url:
        done = audited(tmp_path / "a.lock", url)
    assert (done.returncode, done.stdout.strip()) == (0, "")


@pytest.mark.parametrize("status", [0, 503])
def test_a_service_that_does_not_answer_fails_nothing_but_is_said(tmp_path: Path, status: int) -> None:
    with knowing({}, status or 200) as url:
        there = url if status else "http://127.0.0.1:9/v1/query"
        done = audited(tmp_path / "a.lock", there)
    assert done.returncode == 0, done.stdout
    assert "NOT AUDITED" in done.stdout


def test_a_lock_that_cannot_be_read_fails(tmp_path: Path) -> None:
    lock = tmp_path / "bad.lock"
    lock.write_text("jinja2\n")
    done = subprocess.run([sys.executable, "-m", "deploy.local.dependencies", str(lock)], cwd=ROOT, capture_output=True)
    assert done.returncode == 1


def test_what_is_reviewed_is_let_pass_by_any_of_its_names() -> None:
    one = {"name": "x", "version": "1", "vulns": [{"id": "GHSA-1", "aliases": ["CVE-1"], "fix_versions": ["2"]}]}
    assert dependencies.sentences(one, {"CVE-1": "not called"}) == []
    assert dependencies.sentences(one, {}) == ["x 1: GHSA-1; mended in 2"]
