"""What the operator says: whether staff need a second factor, another place to sign in, and help for who lost all."""

from __future__ import annotations

import pytest

from portal import cli
from portal.kit.errors import ConfigurationError
from portal.kit.settings import Settings, read
from tests.factors.conftest import Person
from tests.people import PASSWORD

PRODUCTION = {
    "PORTAL_ENV": "production",
    "PORTAL_SECRET_KEY": "0123456789abcdef0123456789abcdef",
    "PORTAL_JWT_SECRET_KEY": "fedcba9876543210fedcba9876543210",
    "PORTAL_DATABASE_URL": "postgresql://127.0.0.1/portal",
    "PORTAL_REDIS_URL": "redis://127.0.0.1/0",
    "PORTAL_BASE_URL": "https://fly.example",
    "PORTAL_ALLOWED_HOSTS": "fly.example",
}
PLACE = {
    "PORTAL_OIDC_ISSUER": "https://id.example/realm",
    "PORTAL_OIDC_CLIENT_ID": "portal",
    "PORTAL_OIDC_CLIENT_SECRET": "a secret between the two",
}


def test_staff_need_a_second_factor_in_production_unless_it_is_said_otherwise() -> None:
    assert not read({}).staff_second_factor
    assert read(PRODUCTION).staff_second_factor
    assert not read({**PRODUCTION, "PORTAL_STAFF_SECOND_FACTOR": "false"}).staff_second_factor
    assert read({"PORTAL_STAFF_SECOND_FACTOR": "true"}).staff_second_factor


@pytest.mark.parametrize("missing", ["PORTAL_OIDC_CLIENT_ID", "PORTAL_OIDC_CLIENT_SECRET"])
def test_half_a_place_stops_the_start(missing: str) -> None:
    assert read({**PRODUCTION, **PLACE}).oidc_label == "id.example"
    assert read({**PRODUCTION, **PLACE, "PORTAL_OIDC_NAME": "Example ID"}).oidc_label == "Example ID"
    assert read(PRODUCTION).oidc_label == ""
    with pytest.raises(ConfigurationError, match=missing):
        read({**PRODUCTION, **{name: value for name, value in PLACE.items() if name != missing}})
    with pytest.raises(ConfigurationError, match="https"):
        read({**PRODUCTION, **PLACE, "PORTAL_OIDC_ISSUER": "http://id.example"})


def test_the_operator_helps_who_lost_everything(
    robin: Person, settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    robin.enrol()
    robin.add_passkey()
    monkeypatch.setattr(cli, "read", lambda: settings)
    assert cli.main(["user", "reset-factors", "--email", robin.email]) == 0
    assert "password alone" in capsys.readouterr().out
    assert cli.main(["user", "reset-factors", "--email", robin.email]) == 1
    assert cli.main(["user", "reset-factors", "--email", "nobody@example.com"]) == 1
    robin.leave()
    assert robin.password() == "/"


def test_a_new_password_asks_every_browser_for_the_second_step_again(robin: Person) -> None:
    robin.enrol()
    robin.leave()
    robin.password()
    robin.second(robin.code(), remember="1")
    new = "another quiet blue evening"
    form = {"currentPassword": PASSWORD, "newPassword": new, "confirmPassword": new}
    assert robin.client.post("/account/password", data=form).status_code == 303
    robin.leave()
    assert robin.password(new) == "/account/sign-in/second"
