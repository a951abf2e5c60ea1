"""Outward names: booking references, public ids, secrets. Sequences never show."""

from __future__ import annotations

import hashlib
import secrets

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
REFERENCE_LENGTH = 6


def reference() -> str:
    """Return a random booking reference: 6 characters without 0 O 1 I. Uniqueness is the table's to keep."""
    return readable(REFERENCE_LENGTH)


def readable(length: int) -> str:
    """Return `length` random characters that nobody mistakes for others when reading them out; five bits each."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def normal_reference(text: str) -> str:
    """Return what a person typed as a reference in its one spelling: upper case, no blanks or dashes."""
    return "".join(character for character in text.upper() if character.isalnum())


def secret(length: int = 32) -> str:
    """Return an unguessable URL-safe word of `length` random bytes."""
    return secrets.token_urlsafe(length)


def fingerprint(text: str) -> str:
    """Return the SHA-256 of `text` in hex: what we store of a secret."""
    return hashlib.sha256(text.encode()).hexdigest()
