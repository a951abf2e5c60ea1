"""A software passkey device, as strict as the standard asks (WebAuthn, 6–7) and as crooked as a test wants it."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

import cbor2
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

PRESENT, VERIFIED, ATTESTED = 0x01, 0x04, 0x40


def b64(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def raw(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@dataclass
class Device:
    """One passkey: makes itself known to a portal, and signs what the portal asks; `flags` and `origin` may lie."""

    origin: str = "http://testserver"
    rp_id: str = "testserver"
    flags: int = PRESENT | VERIFIED
    count: int = 0
    counts: bool = True
    id: bytes = field(default_factory=lambda: secrets.token_bytes(16))
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    user_handle: bytes = b""

    def create(self, options: dict[str, Any]) -> str:
        """Return what `navigator.credentials.create` answers, as the page's script writes it."""
        self.user_handle = raw(options["user"]["id"])
        numbers = self.key.public_key().public_numbers()
        public = {1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
        attested = bytes(16) + len(self.id).to_bytes(2, "big") + self.id + cbor2.dumps(public)
        statement = {"fmt": "none", "attStmt": {}, "authData": self._data(ATTESTED) + attested}
        client = self._client("webauthn.create", options["challenge"])
        return self._told(clientDataJSON=client, attestationObject=cbor2.dumps(statement))

    def get(self, options: dict[str, Any], *, handle: bytes | None = None) -> str:
        """Return what `navigator.credentials.get` answers; a counting device counts one up."""
        self.count += self.counts
        client, data = self._client("webauthn.get", options["challenge"]), self._data(0)
        signature = self.key.sign(data + hashlib.sha256(client).digest(), ec.ECDSA(SHA256()))
        user = self.user_handle if handle is None else handle
        return self._told(clientDataJSON=client, authenticatorData=data, signature=signature, userHandle=user)

    def _client(self, kind: str, challenge: str) -> bytes:
        return json.dumps({"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}).encode()

    def _data(self, more: int) -> bytes:
        home = hashlib.sha256(self.rp_id.encode()).digest()
        return home + bytes([self.flags | more]) + self.count.to_bytes(4, "big")

    def _told(self, **response: bytes) -> str:
        told = {name: b64(value) for name, value in response.items() if value}
        return json.dumps({"id": b64(self.id), "rawId": b64(self.id), "type": "public-key", "response": told})
