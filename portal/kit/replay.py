"""`Idempotency-Key` at the API's doors: claim → work → answer, each in a short transaction of its own.

A finished answer is kept for a day and given again, with `Idempotent-Replayed: true`. It is kept encrypted, bound to
its asker, address and key, because it may hold what is shown once: a bookingToken, an API key. Refusals are not kept,
except a refused payment: what was refused may be asked for again with the same key. A failure on our side frees the
key.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from starlette.requests import Request as StarletteRequest
from starlette.responses import Response

from portal.kit import db, idempotency, signing
from portal.kit.errors import Conflict, FieldError, Invalid
from portal.kit.settings import Settings

LONGEST_KEY = 255
KEPT_HEADERS = ("content-type", "location", "retry-after")
# Answers that hold secrets are never kept: signing in twice is harmless, a stored token is not.
NEVER_KEPT = ("/api/auth/",)
PURPOSE = "kept-answer"


class AnswerLost(Conflict):
    """What was asked for is done, but the first answer cannot be read any more: the SECRET_KEY was changed since."""

    code, title = "answer_lost", "This was done already, but its answer cannot be shown again"


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
    settings: Settings = request.app.state.settings
    return _again(settings, known) if known is not None else _first(settings, scope, key, work)


def scope_of(request: StarletteRequest, who: str) -> str:
    """Return who asks and where, as one word: keys of two askers or two addresses never meet."""
    words = f"{who}\0{request.method}\0{request.url.path}"
    return hashlib.sha256(words.encode()).hexdigest()


def _first(settings: Settings, scope: str, key: str, work: Callable[[], Response]) -> Response:
    try:
        response = work()
    except BaseException:
        _free(scope, key)
        raise
    if not (200 <= response.status_code < 300 or response.status_code == 402):
        _free(scope, key)
        return response
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    locked = signing.lock(settings, PURPOSE, f"{scope} {key}", bytes(response.body))
    with db.writing() as session:
        idempotency.answer(session, scope, key, status=response.status_code, headers=headers, body=locked)
    return response


def _again(settings: Settings, known: idempotency.IdempotencyKey) -> Response:
    try:
        body = signing.unlock(settings, PURPOSE, f"{known.scope} {known.key}", known.body or b"")
    except signing.Tampered:
        raise AnswerLost() from None
    headers = {**(known.headers or {}), "Idempotent-Replayed": "true"}
    return Response(body, known.status or 200, headers)


def _free(scope: str, key: str) -> None:
    with db.writing() as session:
        idempotency.release(session, scope, key)


def _fingerprint(request: StarletteRequest, body: bytes) -> str:
    return idempotency.body_fingerprint(request.url.query.encode(), body)
