"""What the portal's processes are told in development: what is configured, and for the rest our own services.

The process's environment wins over `.env`, and `.env` over what is made up here. Made-up secrets are kept in
`dev.env` beside them, readable by the owner only, so that signed links and sessions survive a restart.
"""

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from deploy.local.services import Postgres, Redis, Service, SmtpCatcher, free_port
from deploy.local.steps import ROOT, VAR

LOGS = VAR / "log"


class Development:
    """The services this folder needs started, and the environment for everything that uses them."""

    def __init__(self, port: int) -> None:
        configured = {**read_pairs(ROOT / ".env"), **os.environ}
        kept = keep_secrets(VAR / "dev.env")
        self.services: list[Service] = []
        made_up = {
            "PORTAL_SECRET_KEY": kept["PORTAL_SECRET_KEY"],
            "PORTAL_JWT_SECRET_KEY": kept["PORTAL_JWT_SECRET_KEY"],
            "PORTAL_BASE_URL": f"http://127.0.0.1:{port}",
            "PORTAL_MAIL_DIR": str(VAR / "mail"),
            "PORTAL_ENV": "development",
            "PORTAL_DEMO": "true",
            "PYTHONUNBUFFERED": "1",
        }
        if "PORTAL_DATABASE_URL" not in configured:
            postgres = Postgres(VAR / "pg", log=LOGS / "postgres.log")
            made_up["PORTAL_DATABASE_URL"] = postgres.serving_url
            made_up["PORTAL_DATABASE_OWNER_URL"] = postgres.url
            self.services.append(postgres)
        if "PORTAL_REDIS_URL" not in configured:
            redis = Redis(VAR / "redis", log=LOGS / "redis.log")
            made_up["PORTAL_REDIS_URL"] = redis.url
            self.services.append(redis)
        if not configured.keys() & {"PORTAL_SMTP_URL", "PORTAL_EMAIL_PROVIDER"}:
            catcher = SmtpCatcher(VAR / "mail", port=int(kept["SMTP_PORT"]), log=LOGS / "mail.log")
            made_up |= {"PORTAL_EMAIL_PROVIDER": "smtp", "PORTAL_SMTP_URL": catcher.url}
            self.services.append(catcher)
        self.environment = {**made_up, **configured, "PYTHONPATH": python_path()}

    @property
    def demo(self) -> bool:
        """Whether the demo airline is wanted: unless PORTAL_DEMO says no."""
        return self.environment["PORTAL_DEMO"].strip().lower() in {"1", "true", "yes", "on"}


def python_path() -> str:
    """This project first, whatever else was set after it."""
    return os.pathsep.join(dict.fromkeys([str(ROOT), *os.environ.get("PYTHONPATH", "").split(os.pathsep)])).rstrip(":")


def keep_secrets(file: Path) -> dict[str, str]:
    """The made-up values of this folder; made once, and completed when a new one is needed."""
    known = read_pairs(file)
    fresh = {
        "PORTAL_SECRET_KEY": secrets.token_urlsafe(48),
        "PORTAL_JWT_SECRET_KEY": secrets.token_urlsafe(48),
        "SMTP_PORT": str(free_port()),
    }
    if not fresh.keys() <= known.keys():
        known = {**fresh, **known}
        write_private(file, (f"{name}={value}\n" for name, value in known.items()))
    return known


def write_private(file: Path, lines: Iterable[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600, exist_ok=False)
    part.write_text("".join(lines))
    part.replace(file)


def read_pairs(file: Path) -> dict[str, str]:
    """NAME=value lines, as the portal reads them; an absent file says nothing."""
    if not file.exists():
        return {}
    lines = (line.split("=", 1) for line in file.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in lines}
