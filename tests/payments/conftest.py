"""What the tests of money stand on: a portal that takes it through a small Stripe of our own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit.settings import Settings
from tests.payments.fake_stripe import KEY, SECRET, FakeStripe


@pytest.fixture
def stripe() -> Iterator[FakeStripe]:
    """A Stripe that listens on this machine."""
    with FakeStripe() as running:
        yield running


@pytest.fixture
def with_stripe(settings: Settings, stripe: FakeStripe) -> Settings:
    """Settings of a portal that takes money through it, and waits a second for its answers."""
    keys = {"stripe_secret_key": KEY, "stripe_webhook_secret": SECRET}
    return replace(settings, **keys, stripe_api_base=stripe.url, stripe_timeout_seconds=1)


@pytest.fixture
def shop(with_stripe: Settings) -> Iterator[TestClient]:
    """A browser at that portal."""
    with TestClient(create_app(with_stripe), follow_redirects=False, raise_server_exceptions=False) as running:
        yield running
