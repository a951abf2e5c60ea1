"""Staff who are signed in, as browsers and as programs."""

from __future__ import annotations

from tests.staff.conftest import signed_in, tokens, users

__all__ = ["signed_in", "tokens", "users"]
