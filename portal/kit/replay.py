"""`Idempotency-Key` at the API's doors: claim → work → answer, each in a short transaction of its own.

A finished answer is kept for a day and given again, with `Idempotent-Replayed: true`. Refusals are not kept, except a
refused payment: what was refused may be asked for again with the same key. A failure on our side frees the key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from portal.kit import db, idempotency
from portal.kit.errors import FieldError, Invalid

LONGEST_KEY = 255
KEPT_HEADERS = ("content-type", "location", "retry-after")
# Answers that hold secrets are never kept: signing in twice is harmless, a stored token is not.
NEVER_KEPT = ("/api/auth/",)


def once(request: StarletteRequest, body: bytes, who: str, work: Callable[[], Response]) -> Response:
    """Return work's answer, or the first one again for the same key and body from the same asker at the same address.

    Without the header the work is simply done. Raises KeyReused for another body, StillRunning while the first runs.
    """
    key = request.headers.get("idempotency-key")
    if key is None or request.url.path.startswith(NEVER_KEPT):
        return work()
    if not 1 <= len(key) <= LONGEST_KEY or not key.isprintable():
        raise Invalid("Idempotency-Key takes 1 to 255 printable characters.", errors=[FieldError("", "Unusable key.")])
    scope = scope_of(request, who)
    with db.writing() as session:
        known = idempotency.claim(session, scope, key, _fingerprint(request, body))
    return _again(known) if known is not None else _first(scope, key, work)


def scope_of(request: StarletteRequest, who: str) -> str:
    """Return who asks and where, as one word: keys of two askers or two addresses never meet."""
    words = f"{who}\0{request.method}\0{request.url.path}"
    return hashlib.sha256(words.encode()).hexdigest()


def _first(scope: str, key: str, work: Callable[[], Response]) -> Response:
    try:
        response = work()
    except BaseException:
        _free(scope, key)
        raise
    if not (200 <= response.status_code < 300 or response.status_code == 402):
        _free(scope, key)
        return response
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    with db.writing() as session:
        idempotency.answer(session, scope, key, status=response.status_code, headers=headers, body=bytes(response.body))
    return response


def _again(known: idempotency.IdempotencyKey) -> Response:
    headers = {**(known.headers or {}), "Idempotent-Replayed": "true"}
    return Response(known.body or b"", known.status or 200, headers)


def _free(scope: str, key: str) -> None:
    with db.writing() as session:
        idempotency.release(session, scope, key)


def _fingerprint(request: StarletteRequest, body: bytes) -> str:
    return idempotency.body_fingerprint(request.url.query.encode(), body)
