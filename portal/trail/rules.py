"""How a link of the chain is made, and how an entry is put together again for reading. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from portal.kit.audit import MARK

GENESIS = bytes(32)
ERASED = object()


@dataclass(frozen=True, slots=True)
class Head:
    """The newest link of the chain: what to write down elsewhere, so that a chain made anew is seen."""

    position: int
    hash: bytes

    def __str__(self) -> str:
        return f"{self.position}:{self.hash.hex()}"


def read_head(told: str) -> Head:
    """Return the head that `portal audit head` printed; raises ValueError for anything else."""
    position, _, digits = told.strip().partition(":")
    found = Head(int(position), bytes.fromhex(digits))
    if found.position < 1 or len(found.hash) != len(GENESIS):
        raise ValueError(told)
    return found


def link(before: bytes, position: int, content: Sequence[str | None]) -> bytes:
    """Return the hash of the link at `position` after the one with the hash `before`: SHA-256 over a JSON list of
    the hash before in hex, the position, and the entry's columns as PostgreSQL writes them as text."""
    told = json.dumps([before.hex(), position, *content], ensure_ascii=True, separators=(",", ":"))
    return hashlib.sha256(told.encode()).digest()


def whole(told: dict[str, Any] | None, personal: str | None) -> dict[str, Any]:
    """Return one side of an entry with its personal values put back; ERASED where they are no longer kept."""
    values = json.loads(personal).get("values", []) if personal else []
    return _filled(told or {}, values)  # type: ignore[no-any-return]  # a dict comes back as a dict


def _filled(told: Any, values: list[Any]) -> Any:
    if isinstance(told, dict):
        if set(told) == {MARK}:
            return values[told[MARK]] if told[MARK] < len(values) else ERASED
        return {name: _filled(value, values) for name, value in told.items()}
    return [_filled(one, values) for one in told] if isinstance(told, list) else told


def address(personal: str | None) -> str | None:
    """Return the address that asked, while it is kept."""
    return json.loads(personal).get("caller") if personal else None


@dataclass(frozen=True, slots=True)
class Difference:
    """One field of an entry before and after the deed; None where a side says nothing of it, ERASED where erased."""

    name: str
    before: Any
    after: Any


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[Difference]:
    """Return the fields of both sides, nested ones by their path, in the order in which they were told."""
    old, new = dict(_flat(before, "")), dict(_flat(after, ""))
    return [Difference(name, old.get(name), new.get(name)) for name in {**old, **new}]


def _flat(told: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for name, value in told.items():
        if isinstance(value, dict) and value and set(value) != {"amount", "currency"}:  # a sum of money is one value
            yield from _flat(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", value
