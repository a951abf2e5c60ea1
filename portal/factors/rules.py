"""Rules of second factors: codes of half a minute, recovery codes, challenges, and where passkeys are at home.

Pure: no session, no clock, no settings; keys and `now` are arguments.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import urlsplit
from uuid import UUID

import pyotp
import zxingcpp

from portal.kit import ids

STEP_SECONDS = 30
DRIFT = 1
SECRET_BYTES = 20  # RFC 4226, 4: as long as the hash, 160 bits
RECOVERY_CODES, RECOVERY_LENGTH = 10, 16
MOST_PASSKEYS = 20
MOST_GUESSES = 5
HALF_LASTS = timedelta(minutes=5)
OFFER_LASTS = timedelta(minutes=15)
REMEMBERED_LASTS = timedelta(days=30)
CHALLENGE_LASTS = timedelta(minutes=5)
SYMBOL = re.compile(r'<svg width="(\d+)".*<path d="([^"]+)"', re.S)


def step_of(secret: bytes, code: str, now: datetime) -> int | None:
    """Return the half minute that `code` is for, or None when it is none of now's, the one before's or the one after's.

    RFC 6238, 5.2: one step of drift either way. All are compared, in a time that tells nothing.
    """
    app = pyotp.TOTP(base64.b32encode(secret).decode())
    current = app.timecode(now)
    steps = [current + drift for drift in range(-DRIFT, DRIFT + 1)]
    fits = [hmac.compare_digest(app.generate_otp(step).encode(), code.encode()) for step in steps]
    return next((step for step, fit in zip(steps, fits, strict=True) if fit), None)


def app_address(secret: bytes, account: str, issuer: str) -> str:
    """Return the `otpauth://` address that an authenticator app reads from the QR code."""
    return pyotp.TOTP(base64.b32encode(secret).decode()).provisioning_uri(name=account, issuer_name=issuer)


def typed_secret(secret: bytes) -> str:
    """Return the secret as a person types it where no camera is at hand: base32 in groups of four."""
    return grouped(base64.b32encode(secret).decode())


def grouped(text: str) -> str:
    """Return `text` in groups of four."""
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def plain(typed: str) -> str:
    """Return what a person typed as a code in its one spelling: upper case, no blanks or dashes, plain digits."""
    return "".join(
        str(int(one)) if one.isdecimal() else one.upper() for one in typed[:100] if one.isdecimal() or one.isalpha()
    )


def is_one_time(code: str) -> bool:
    """True for what looks like an app's code: six digits. Recovery codes are longer."""
    return len(code) == 6 and code.isascii() and code.isdecimal()


def kept(user_id: UUID, code: str) -> str:
    """Return what is kept of a recovery code: 80 random bits need no slow hash, and the owner keeps lists apart."""
    return ids.fingerprint(f"recovery {user_id} {code}")


@dataclass(frozen=True, slots=True)
class Symbol:
    """A QR code as one SVG path; `size` is its width and height in modules, quiet zone included."""

    size: int
    path: str


def draw(text: str) -> Symbol:
    """Return `text` as a QR code with its quiet zone, at error correction M (ISO/IEC 18004)."""
    drawn = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M").to_svg(add_quiet_zones=True)
    found = SYMBOL.search(drawn)
    if found is None:
        raise ValueError("the code was not drawn as a path")
    return Symbol(int(found[1]), found[2])


@dataclass(frozen=True, slots=True)
class Home:
    """Where passkeys belong: the name they are bound to (`rp_id`), and the origins that may ask for them."""

    rp_id: str
    origins: tuple[str, ...]

    def is_at(self, host: str) -> bool:
        """True when a page on `host` may use them."""
        return host == self.rp_id or host.endswith(f".{self.rp_id}")


def home(base_url: str) -> Home:
    """Return where the passkeys of a portal at `base_url` are at home.

    A passkey is bound to a name and never to an address of numbers (WebAuthn 5.1.2), so a portal that this machine
    serves to itself on 127.0.0.1 has its passkeys at `localhost`.
    """
    parts = urlsplit(base_url)
    host, port = parts.hostname or "", f":{parts.port}" if parts.port else ""
    try:
        alone = ipaddress.ip_address(host).is_loopback
    except ValueError:
        alone = False
    name = "localhost" if alone else host
    return Home(name, (f"{parts.scheme}://{name}{port}",))


def challenge(key: bytes, purpose: str, until: datetime, nonce: bytes) -> bytes:
    """Return a challenge for `purpose` (what is asked, and of whom) that `read_challenge` knows again until `until`."""
    body = int(until.timestamp()).to_bytes(8, "big") + nonce
    return body + _mac(key, purpose, body)


def read_challenge(key: bytes, purpose: str, given: bytes, now: datetime) -> datetime | None:
    """Return until when a challenge is good if we made it for `purpose` and it has not lapsed, else None."""
    body, mac = given[:-32], given[-32:]
    if len(given) < 56 or not hmac.compare_digest(mac, _mac(key, purpose, body)):
        return None
    until = datetime.fromtimestamp(int.from_bytes(body[:8], "big"), now.tzinfo)
    return until if until > now else None


def _mac(key: bytes, purpose: str, body: bytes) -> bytes:
    return hmac.new(key, purpose.encode() + b"\0" + body, hashlib.sha256).digest()
