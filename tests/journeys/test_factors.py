"""In a browser: an authenticator app by its QR code, recovery codes, passkeys on a virtual device, another place."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator

import pyotp
import pytest
import zxingcpp
from PIL import Image
from playwright.sync_api import Page, expect

from deploy.local.services import TestServices
from portal.kit import clock
from tests.accounts.provider import CLIENT, SECRET
from tests.accounts.test_oidc import Provider, process
from tests.journeys.conftest import mails_to, picture, text_of
from tests.running import RunningPortal, operate, running_portal
from tests.tasks.conftest import until

__all__ = ["process"]  # the provider's process, as a fixture here too
PASSWORD = "a quiet blue morning"
HERE = "/account/security/second-step"
PEOPLE = ("app@example.com", "key@example.com", "plain@example.com", "both@example.com")
OpenPage = Callable[..., Page]


def prepare(services: TestServices) -> None:
    """Migrate, and make an account for each journey, as an operator would."""
    people = [["user", "create", "--email", one, "--role", "customer", "--password-stdin"] for one in PEOPLE]
    operate(services, ["migrate"], *people, said=PASSWORD)


@pytest.fixture(scope="module")
def portal(process: Provider) -> Iterator[RunningPortal]:
    """A portal where people may also sign in at the provider."""
    elsewhere = {"ISSUER": process.issuer, "CLIENT_ID": CLIENT, "CLIENT_SECRET": SECRET, "NAME": "Example ID"}
    with running_portal(prepare, {f"PORTAL_OIDC_{name}": value for name, value in elsewhere.items()}) as running:
        yield running


def named(portal: RunningPortal, path: str) -> str:
    """Return the address by the name that passkeys are bound to."""
    return f"http://localhost:{portal.port}{path}"


def sign_in(page: Page, address: str, at: str = "/account/sign-in") -> None:
    """Type address and password."""
    page.goto(at)
    page.get_by_label("E-mail").fill(address)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()


def sign_out(page: Page) -> None:
    page.locator("header details.menu summary").click()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_text("You are signed out.").wait_for()


def connect_app(page: Page, address: str) -> tuple[pyotp.TOTP, list[str]]:
    """Connect an app that reads the QR code off the screen; returns it, and the recovery codes."""
    page.goto("/account/security/authenticator")
    (shown,) = zxingcpp.read_barcodes(Image.open(io.BytesIO(page.screenshot(full_page=True))))
    app = pyotp.parse_uri(shown.text)
    assert isinstance(app, pyotp.TOTP)
    assert (app.name, app.secret) == (address, page.locator(".secret").inner_text().replace(" ", ""))
    page.get_by_label("The six digits that it shows").fill(app.now())
    page.get_by_role("button", name="Connect").click()
    page.get_by_role("heading", name="Your recovery codes").wait_for()
    return app, page.locator(".recovery code").all_inner_texts()


def device(page: Page) -> None:
    """Plug a virtual device in, whose owner always presses its button and is always recognised."""
    session = page.context.new_cdp_session(page)
    session.send("WebAuthn.enable")
    kind = {"protocol": "ctap2", "transport": "internal", "hasResidentKey": True, "hasUserVerification": True}
    owner = {"isUserVerified": True, "automaticPresenceSimulation": True}
    session.send("WebAuthn.addVirtualAuthenticator", {"options": {**kind, **owner}})


def told(portal: RunningPortal, address: str, words: str) -> None:
    """Wait for the mail that tells the account's owner."""
    until(lambda: any(words in text_of(one) for one in mails_to(portal, address)), f"a mail saying {words!r}")


@pytest.mark.journey
def test_an_app_then_a_recovery_code_then_neither(portal: RunningPortal, open_page: OpenPage) -> None:
    page, address = open_page(), "app@example.com"
    sign_in(page, address)
    page.goto(HERE)
    picture(page, "factors/none")
    app, codes = connect_app(page, address)
    picture(page, "factors/recovery_codes")
    assert len(codes) == 10
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save as a file").click()
    assert [line for line in saved.value.path().read_text().splitlines() if line in codes] == codes

    sign_out(page)
    sign_in(page, address)
    expect(page.get_by_label("Code from your app")).to_be_focused()
    picture(page, "factors/second_step")
    page.keyboard.type("000000")
    page.keyboard.press("Enter")
    page.get_by_text("This code is not right").first.wait_for()
    page.get_by_label("Code from your app").fill(app.at(clock.now(), counter_offset=1))
    page.get_by_label("Do not ask again in this browser").check()
    page.keyboard.press("Enter")
    page.wait_for_url("**/")

    sign_out(page)
    sign_in(page, address)
    page.wait_for_url("**/")  # this browser is not asked any more
    stranger = open_page()
    sign_in(stranger, address)
    stranger.get_by_role("link", name="Use a recovery code").click()
    stranger.get_by_label("Recovery code").fill(codes[0].lower())
    stranger.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    stranger.wait_for_url("**/")
    stranger.goto(HERE)
    expect(stranger.get_by_text("9 of 10 are unused.")).to_be_visible()
    picture(stranger, "factors/all")
    stranger.get_by_role("button", name="Remove My phone").click()
    stranger.get_by_text("The app is removed.").wait_for()
    told(portal, address, "Your account can be signed in to with less than before.")


@pytest.mark.journey
def test_a_passkey_is_made_named_and_signs_in(portal: RunningPortal, open_page: OpenPage) -> None:
    page, address = open_page(), "key@example.com"
    device(page)
    sign_in(page, address, named(portal, "/account/sign-in"))
    page.wait_for_url("**/")
    page.goto(named(portal, HERE))
    page.get_by_label("What to call it").fill("Laptop")
    page.get_by_role("button", name="Add a passkey").click()
    page.get_by_text("Your passkey is on the list").wait_for()
    page.get_by_role("link", name="I have kept them").click()
    expect(page.locator(".watchlist b")).to_have_text("Laptop")
    page.get_by_text("Rename").click()
    page.get_by_label("New name").fill("Old laptop")
    page.get_by_role("button", name="Save").click()
    expect(page.locator(".watchlist b")).to_have_text("Old laptop")

    page.get_by_role("button", name="Add another passkey").click()  # the device knows that it has one
    page.get_by_text("That did not work. Nothing has changed").wait_for()

    sign_out(page)  # the list of the e-mail field offers the passkey, and this owner chooses it at once
    page.goto(named(portal, "/account/sign-in?next=/account/trips"), wait_until="commit")
    page.wait_for_url("**/account/trips")

    page.add_init_script("PublicKeyCredential.isConditionalMediationAvailable = undefined")  # an older browser
    sign_out(page)
    page.goto(named(portal, "/account/sign-in?next=/account/trips"))
    picture(page, "factors/sign_in")
    page.keyboard.press("Tab")
    page.get_by_role("button", name="Sign in with a passkey").focus()
    page.keyboard.press("Enter")
    page.wait_for_url("**/account/trips")

    sign_out(page)
    sign_in(page, address, named(portal, "/account/sign-in"))
    page.get_by_role("button", name="Use a passkey").click()
    page.wait_for_url("**/")
    page.goto(named(portal, f"/account/confirm?next={HERE}"))
    page.get_by_role("button", name="Use a passkey").click()
    page.get_by_role("button", name="Remove Old laptop").click()
    page.get_by_text("The passkey is removed.").wait_for()


@pytest.mark.journey
def test_without_scripts_all_but_passkeys_works(portal: RunningPortal, open_page: OpenPage) -> None:
    page, address = open_page(java_script_enabled=False, viewport={"width": 360, "height": 800}), "plain@example.com"
    page.goto(named(portal, "/account/sign-in"))
    expect(page.get_by_text("Passkeys need JavaScript")).to_be_visible()
    expect(page.get_by_role("button", name="Sign in with a passkey")).to_be_hidden()
    page.goto("/account/sign-in")
    expect(page.get_by_role("link", name="Open this page there")).to_be_visible()
    sign_in(page, address)
    app, codes = connect_app(page, address)
    assert len(codes) == 10
    sign_out(page)
    sign_in(page, address)
    page.get_by_label("Code from your app").fill(codes[0])
    page.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    page.wait_for_url("**/")
    assert app.interval == 30


@pytest.mark.journey
def test_another_place_makes_an_account_and_is_connected_to_one(
    portal: RunningPortal, process: Provider, open_page: OpenPage
) -> None:
    page = open_page()
    process.behave(sub="dana-1", email="dana@example.com", given_name="Dana", auto=None)
    page.goto("/account/sign-in?next=/account")
    page.get_by_role("link", name="Continue with Example ID").click()
    page.get_by_role("button", name="Go on as dana@example.com").click()
    page.wait_for_url("**/account")
    expect(page.get_by_text("You sign in with dana@example.com")).to_be_visible()
    page.goto(HERE)
    expect(page.get_by_text(re.compile("connected"))).to_be_visible()

    other = open_page()
    process.behave(sub="both-1", email="both@example.com", auto=None)
    other.goto("/account/sign-in")
    other.get_by_role("link", name="Continue with Example ID").click()
    other.get_by_role("button", name="Go on as both@example.com").click()
    other.get_by_text("Sign in once as always, and Example ID is connected.").wait_for()
    picture(other, "factors/connect")
    other.get_by_label("E-mail").fill("both@example.com")
    other.get_by_label("Password", exact=True).fill(PASSWORD)
    other.get_by_role("main").get_by_role("button", name="Sign in", exact=True).click()
    other.wait_for_url("**/")
    other.goto(HERE)
    expect(other.get_by_role("button", name="Disconnect both@example.com")).to_be_visible()
    until(
        lambda: any(b"Another way to sign in" in one.read_bytes() for one in mails_to(portal, "both@example.com")), 30
    )
