"""A whole account in a real browser: register, confirm by mail, change and reset the password, take the data, go."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Page, expect

from tests.journeys.conftest import mails_to, picture, text_of
from tests.running import RunningPortal
from tests.tasks.conftest import until

pytestmark = pytest.mark.journey
Open = Callable[..., Page]
FIRST, SECOND, THIRD = "a quiet blue morning", "another quiet evening", "a third, much longer night"


def fill(page: Page, **values: str) -> None:
    """Fill fields by their names, as a password manager would find them."""
    for name, value in values.items():
        page.fill(f"[name='{name}']", value)


def press(page: Page, name: str) -> None:
    page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


def mailed(portal: RunningPortal, address: str, path: str) -> str:
    """Wait for the newest letter with a link to `path`; return the link's address in this portal."""
    pattern = re.compile(rf"{re.escape(portal.address)}({path}\?token=\S+)")
    found: list[str] = []

    def came() -> bool:
        texts = [text_of(one) for one in mails_to(portal, address)]
        found[:] = [match for text in texts for match in pattern.findall(text)]
        return bool(found)

    until(came, f"a letter with a link to {path}")
    return found[-1]


def sign_in(page: Page, address: str, password: str) -> None:
    page.goto("/account/sign-in")
    fill(page, email=address, password=password)
    press(page, "Sign in")
    page.wait_for_url(lambda url: "/account/sign-in" not in url)


def register(page: Page, portal: RunningPortal, address: str) -> None:
    """Make an account, which begins to exist when the mailed link is used."""
    page.goto("/account/register")
    fill(page, firstName="Robin", lastName="Wood", email=address, password=FIRST, confirmPassword=FIRST)
    press(page, "Make the account")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto("/account/sign-in")
    fill(page, email=address, password=FIRST)
    press(page, "Sign in")
    expect(page.get_by_text("do not belong together").first).to_be_visible()
    page.goto(mailed(portal, address, "/account/verify-email"))
    expect(page.get_by_text(address)).to_be_visible()
    picture(page, "account-verify")
    press(page, "Yes, this is my address")
    expect(page.get_by_text("Your address is confirmed")).to_be_visible()


def is_in(page: Page) -> bool:
    page.goto("/account")
    return "/account/sign-in" not in page.url


def test_a_whole_account(portal: RunningPortal, open_page: Open, tmp_path: Path) -> None:
    address = f"robin-{uuid4().hex[:8]}@example.com"
    page, other = open_page(), open_page()
    register(page, portal, address)
    sign_in(page, address, FIRST)
    sign_in(other, address, FIRST)
    change_password(page)
    assert is_in(page)
    assert not is_in(other)
    reset_password(portal, other, address)
    assert not is_in(page)
    sign_in(page, address, THIRD)
    page.goto("/account/security")
    picture(page, "account-security")
    take_data(page, address)
    go(page)
    assert not is_in(page)
    stay(portal, other, address)
    sign_in(other, address, THIRD)


def change_password(page: Page) -> None:
    page.goto("/account/password")
    fill(page, currentPassword=FIRST, newPassword="password1234!", confirmPassword="password1234!")
    expect(page.locator("#password-verdict")).to_contain_text("tried first")
    press(page, "Change the password")
    expect(page.locator("#newPassword-why")).to_be_visible()
    fill(page, currentPassword=FIRST, newPassword=SECOND, confirmPassword=SECOND)
    page.locator(".field", has=page.locator("#newPassword")).get_by_role("button", name="Show").click()
    expect(page.locator("#newPassword")).to_have_attribute("type", "text")
    press(page, "Change the password")
    expect(page.get_by_text("Everywhere else you are signed out.")).to_be_visible()


def reset_password(portal: RunningPortal, page: Page, address: str) -> None:
    page.goto("/account/sign-in")
    page.get_by_role("link", name=re.compile("Forgot")).click()
    fill(page, email=address)
    press(page, "Send me the link")
    link = mailed(portal, address, "/account/reset-password")
    page.goto(link)
    fill(page, newPassword=THIRD, confirmPassword=THIRD)
    press(page, "Change the password")
    expect(page.get_by_text("Your new password counts from now on")).to_be_visible()
    page.goto(link)
    expect(page.get_by_role("heading", name="This link is over")).to_be_visible()

    def told() -> bool:
        return sum("signed out, except where" in text_of(one) for one in mails_to(portal, address)) == 2

    until(told, "a notice of each change")


def take_data(page: Page, address: str) -> None:
    page.goto("/account/privacy")
    press(page, "Make a copy")
    save = page.get_by_role("link", name="Save my-data.zip")
    expect(save).to_be_visible(timeout=30_000)
    picture(page, "account-copy")
    with page.expect_download() as coming:
        save.click()
    whole = zipfile.ZipFile(io.BytesIO(Path(coming.value.path()).read_bytes()))
    assert json.loads(whole.read("data.json"))["account"][0]["email"] == address
    assert address in whole.read("index.html").decode()


def go(page: Page) -> None:
    page.goto("/account/privacy/delete")
    press(page, "Delete my account")
    expect(page.get_by_text("Please tick that you have read it.")).to_be_visible()
    page.get_by_label("I have read it").check()
    picture(page, "account-delete")
    press(page, "Delete my account")
    expect(page.get_by_text("Your account is closed")).to_be_visible()


def stay(portal: RunningPortal, page: Page, address: str) -> None:
    """Take it back by the mailed link."""
    page.goto(mailed(portal, address, "/account/privacy/keep"))
    press(page, "Yes, keep it")
    expect(page.get_by_text("Your account stays.")).to_be_visible()


def test_without_scripts_and_with_the_keyboard_only(portal: RunningPortal, open_page: Open) -> None:
    address = f"kit-{uuid4().hex[:8]}@example.com"
    page = open_page(java_script_enabled=False)
    page.goto("/account/register")
    assert page.locator(".peek").count() == 0
    page.locator("#firstName").focus()
    for word in ("Kit", "Wood", address, FIRST, FIRST):
        page.keyboard.type(word)
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Look into your mail")).to_be_visible()
    page.goto(mailed(portal, address, "/account/verify-email"))
    press(page, "Yes, this is my address")
    sign_in(page, address, FIRST)
    page.goto("/account/privacy")
    press(page, "Make a copy")
    expect(page.get_by_role("heading", name="A copy of your data")).to_be_visible()

    def ready() -> bool:
        page.reload()
        return page.get_by_role("link", name="Save my-data.zip").count() == 1

    until(ready, "the copy")


def test_fields_are_named_for_password_managers(portal: RunningPortal, open_page: Open) -> None:
    page = open_page()
    page.goto("/account/register")
    assert page.locator("#email").get_attribute("autocomplete") == "username"
    assert page.locator("#password").get_attribute("autocomplete") == "new-password"
    page.goto("/account/sign-in")
    assert page.locator("#email").get_attribute("autocomplete") == "username webauthn"
    assert (page.locator("#password").get_attribute("autocomplete") or "").startswith("current-password")
    page.goto("/account/forgot-password")
    assert page.locator("#email").get_attribute("autocomplete") == "username"
