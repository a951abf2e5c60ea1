"""What tokens take and give: one parser, two doors."""

from __future__ import annotations

from datetime import datetime
from ipaddress import ip_network
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire

Token = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def _network(text: str) -> str:
    try:
        return str(ip_network(text.strip(), strict=False))
    except ValueError:
        raise ValueError(_("Please give an address or a network, such as 203.0.113.7 or 203.0.113.0/24.")) from None


Network = Annotated[str, StringConstraints(max_length=50), AfterValidator(_network)]
Scope = Annotated[str, StringConstraints(min_length=1, max_length=40)]


class OneToken(Wire):
    """A refresh token."""

    refresh_token: Token


class TokenPair(Wire):
    """What a program signs its calls with: the access token, and the refresh token for the next pair."""

    access_token: str
    refresh_token: str
    token_type: str = "Bearer"  # noqa: S105 – a scheme's name
    expires_in: int


class NewKey(Wire):
    """What an API key is to be: its name, what it may do, until when (for ever if not said), from which addresses."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=60)] = Field(examples=["Nightly export"])
    scopes: Annotated[tuple[Scope, ...], Field(min_length=1, max_length=40, examples=[["bookings:read"]])]
    expires_at: AwareDatetime | None = None
    addresses: Annotated[tuple[Network, ...], Field(max_length=20, examples=[["203.0.113.0/24"]])] = ()


class KeyOut(Wire):
    """An API key as its owner sees it: never the key itself, only how it begins."""

    id: UUID
    name: str
    prefix: str
    scopes: tuple[str, ...]
    addresses: tuple[str, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None


class MadeKeyOut(KeyOut):
    """A new API key, with the key itself: this answer alone shows it."""

    key: str


class KeyList(Wire):
    """The account's API keys, the newest first; there is never a next page."""

    data: tuple[KeyOut, ...]
    next_cursor: Literal[None] = None
