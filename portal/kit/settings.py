"""Settings: one frozen object, read from the environment in app, cli and worker only."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from portal.kit.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]
MINIMUM_SECRET = 32
DEVELOPMENT_SECRET = "development-only-secret-do-not-use-in-production"  # noqa: S105 – refused in production


@dataclass(frozen=True, slots=True)
class Settings:
    """Everything that the environment may say; names are the environment's without `PORTAL_`, in lower case."""

    env: str = "development"
    database_url: str = "postgresql+psycopg://127.0.0.1:5432/portal"
    database_read_url: str = ""
    database_owner_url: str = ""
    database_pool: int = 5
    redis_url: str = "redis://127.0.0.1:6379/0"
    secret_key: str = DEVELOPMENT_SECRET
    base_url: str = "http://127.0.0.1:8000"
    jwt_secret_key: str = DEVELOPMENT_SECRET
    jwt_previous_keys: tuple[str, ...] = ()
    jwt_issuer: str = "flight-portal"
    jwt_audience: str = "flight-portal-clients"
    jwt_access_token_minutes: int = 60
    jwt_refresh_token_days: int = 30
    email_provider: str = "file"
    smtp_url: str = ""
    sendgrid_api_key: str = ""
    sendgrid_url: str = "https://api.sendgrid.com"
    email_from: str = "noreply@portal.example"
    email_from_name: str = "Meridian Air"
    support_email: str = "help@portal.example"
    seller_name: str = ""
    seller_address: str = ""
    seller_tax_id: str = ""
    mail_dir: str = "var/mail"
    analytics_cache_minutes: int = 60
    analytics_max_export_rows: int = 100_000
    analytics_default_range_days: int = 30
    allowed_hosts: tuple[str, ...] = ("*",)
    allowed_origins: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ("127.0.0.1",)
    require_https: bool = False
    enable_hsts: bool = False
    max_body_bytes: int = 10_485_760
    rate_limit_enabled: bool = True
    rate_limit_per_minute: int = 1000
    jobs_dashboard_path: str = "/admin/jobs"
    log_level: str = "INFO"
    log_format: str = "text"
    log_file: str = ""
    log_retention_days: int = 30
    audit_retention_days: int = 2555
    hold_minutes: int = 15
    offer_minutes: int = 30
    currency: str = "USD"
    threads: int = 4
    worker_processes: int = 2
    job_lease_seconds: int = 30
    staff_second_factor: bool = False
    oidc_issuer: str = ""
    oidc_client_id: str = ""
    oidc_client_secret: str = ""
    oidc_name: str = ""
    oidc_timeout_seconds: int = 5
    demo: bool = False
    sandbox_payments: bool = True
    stripe_secret_key: str = ""
    stripe_webhook_secret: str = ""
    stripe_api_base: str = ""
    stripe_timeout_seconds: int = 10

    @property
    def production(self) -> bool:
        """True where real money and people are."""
        return self.env == "production"

    @property
    def oidc_label(self) -> str:
        """The name of the other place where people may sign in, or nothing where there is none."""
        return (self.oidc_name or self.oidc_issuer.split("//")[-1].split("/")[0]) if self.oidc_issuer else ""

    @property
    def secure_cookies(self) -> bool:
        """True where browsers reach the portal by https only."""
        return self.base_url.startswith("https://")


def read(environment: Mapping[str, str] | None = None) -> Settings:
    """Return the settings of `environment` (the process's own by default).

    In development a `.env` file beside the project fills what the environment leaves open. Raises ConfigurationError,
    in one plain sentence, for a value of the wrong kind and, in production, for a missing, default or short secret.
    In production the sandbox gateway is closed, and staff need a second factor, unless it is said otherwise by name.
    """
    source = dict(environment if environment is not None else {**_dotenv(), **os.environ})
    if source.get("PORTAL_ENV", "").strip() == "production":
        source.setdefault("PORTAL_SANDBOX_PAYMENTS", "false")
        source.setdefault("PORTAL_STAFF_SECOND_FACTOR", "true")
    settings = Settings(**{f.name: _value(f, source) for f in fields(Settings) if f"PORTAL_{f.name.upper()}" in source})
    if settings.email_provider not in ("smtp", "sendgrid", "file"):
        raise ConfigurationError(f"PORTAL_EMAIL_PROVIDER is {settings.email_provider!r}; use smtp, sendgrid or file.")
    if settings.production:
        _refuse_weak_secrets(settings, source)
        _refuse_half_a_gateway(settings)
        _refuse_half_a_provider(settings)
        _refuse_any_proxy(settings)
    return settings


def _refuse_any_proxy(settings: Settings) -> None:
    if "*" in settings.trusted_proxies:
        raise ConfigurationError(
            "PORTAL_TRUSTED_PROXIES is *, so that any caller could say who they are; name networks."
        )


def _refuse_half_a_provider(settings: Settings) -> None:
    if settings.oidc_issuer and not (settings.oidc_client_id and settings.oidc_client_secret):
        missing = "PORTAL_OIDC_CLIENT_ID or PORTAL_OIDC_CLIENT_SECRET is missing"
        raise ConfigurationError(f"{missing}, though PORTAL_OIDC_ISSUER is set.")
    if settings.oidc_issuer and not settings.oidc_issuer.startswith("https://"):
        raise ConfigurationError("PORTAL_OIDC_ISSUER is not an https address; production signs nobody in without.")


def _refuse_half_a_gateway(settings: Settings) -> None:
    if settings.stripe_secret_key and not settings.stripe_webhook_secret:
        raise ConfigurationError("PORTAL_STRIPE_WEBHOOK_SECRET is missing, though PORTAL_STRIPE_SECRET_KEY is set.")
    if settings.stripe_api_base:
        raise ConfigurationError("PORTAL_STRIPE_API_BASE names a made-up Stripe; production uses the real one.")


def _value(field: Any, source: Mapping[str, str]) -> Any:
    name = f"PORTAL_{field.name.upper()}"
    try:
        return _parse(field.default, source[name].strip())
    except ValueError:
        raise ConfigurationError(f"{name} is {source[name]!r}, which is not {_kind(field.default)}.") from None


def _parse(default: Any, text: str) -> Any:
    if isinstance(default, bool):
        return _truth(text)
    if isinstance(default, int):
        return int(text)
    if isinstance(default, tuple):
        return tuple(part.strip() for part in text.split(",") if part.strip())
    return text


def _truth(text: str) -> bool:
    words = {"1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False}
    if text.lower() not in words:
        raise ValueError(text)
    return words[text.lower()]


def _kind(default: Any) -> str:
    return "true or false" if isinstance(default, bool) else "a whole number"


def _is_weak(secret: str) -> bool:
    return len(secret) < MINIMUM_SECRET or secret == DEVELOPMENT_SECRET or len(set(secret)) < 8


def _refuse_weak_secrets(settings: Settings, source: Mapping[str, str]) -> None:
    for name in ("SECRET_KEY", "JWT_SECRET_KEY"):
        value = source.get(f"PORTAL_{name}", "").strip()
        if not value:
            raise ConfigurationError(
                f"PORTAL_{name} is missing; production needs at least {MINIMUM_SECRET} characters."
            )
        if _is_weak(value):
            raise ConfigurationError(
                f"PORTAL_{name} is too short or well known; use {MINIMUM_SECRET} random characters."
            )
    if any(map(_is_weak, settings.jwt_previous_keys)):
        raise ConfigurationError("PORTAL_JWT_PREVIOUS_KEYS names a key that is too short or well known; leave it out.")
    for name in ("DATABASE_URL", "REDIS_URL", "BASE_URL", "ALLOWED_HOSTS"):
        if not source.get(f"PORTAL_{name}", "").strip():
            raise ConfigurationError(f"PORTAL_{name} is missing; production has no default for it.")
    if settings.email_provider == "sendgrid" and not settings.sendgrid_api_key:
        raise ConfigurationError("PORTAL_SENDGRID_API_KEY is missing, though PORTAL_EMAIL_PROVIDER is sendgrid.")


def _dotenv() -> dict[str, str]:
    path = ROOT / ".env"
    if os.environ.get("PORTAL_ENV") == "production" or not path.exists():
        return {}
    pairs = (line.split("=", 1) for line in path.read_text().splitlines() if "=" in line and not line.startswith("#"))
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}
