"""The sandbox bank's own pages – another company's, with test cards, no money – and the door for Stripe's words."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from starlette.responses import JSONResponse, RedirectResponse, Response

from portal.kit import db
from portal.kit.errors import NotFound
from portal.kit.i18n import gettext as _
from portal.kit.web import Request, endpoint, page, render
from portal.payments import sandbox, service, stripe
from portal.payments.errors import ChargeOver
from portal.payments.models import SandboxCharge


@dataclass(frozen=True, slots=True)
class _Shown:
    id: str
    amount_minor: int
    currency: str
    merchant: str
    description: str
    reference: str


def hosted(request: Request) -> Response:
    """Show the bank's page; a charge that has ended leads back to the shop."""
    charge = _charge(request)
    if charge.state == "open":
        return _cards(request, charge, "", 200)
    return _back(charge) if charge.state != "challenge" else _to(f"/sandbox-pay/{charge.id}/challenge")


def choose(request: Request) -> Response:
    """Play the chosen test card."""
    charge, token = _charge(request), request.fields.get("token")
    if token not in sandbox.TOKENS:
        return _cards(request, charge, _("Please choose one of the test cards."), 422)
    try:
        charge = sandbox.choose(charge.id, str(token))
    except ChargeOver:
        return _back(charge)
    return _to(f"/sandbox-pay/{charge.id}/challenge") if charge.state == "challenge" else _back(charge)


def challenge(request: Request) -> Response:
    """Ask whether it is really you (3-D Secure)."""
    charge = _charge(request)
    if charge.state != "challenge":
        return _back(charge)
    return render(request, "payments/sandbox_3ds.html", **_common(request, charge, "/challenge"))


def answer(request: Request) -> Response:
    """Take the answer and lead back to the shop."""
    charge = _charge(request)
    with suppress(ChargeOver):
        sandbox.confirm(charge.id, yes=request.fields.get("answer") == "yes")
    return _back(charge)


def stripe_word(request: Request) -> Response:
    """Keep a word that Stripe signed, once, and have what it is about looked up; what means nothing to us is taken too.

    It is answered before anything is done, because Stripe asks for that; a letter does the rest. 400 for a signature
    that is missing, wrong or older than five minutes.
    """
    if not (request.settings.stripe_secret_key and request.settings.stripe_webhook_secret):
        raise NotFound()
    word = stripe.read_word(request.settings, request.raw, request.headers.get("stripe-signature"))
    with db.writing() as session:
        service.hear(session, word, gateway="stripe")
    return JSONResponse({"received": True})


def _charge(request: Request) -> SandboxCharge:
    name = request.path_params["charge"]
    if not request.settings.sandbox_payments or not re.fullmatch(r"[\w-]{1,64}", name, re.ASCII):
        raise NotFound()
    return sandbox.look(name)


def _cards(request: Request, charge: SandboxCharge, problem: str, status: int) -> Response:
    cards = [
        ("tok_visa", _("Card that pays"), "4242", _("The payment succeeds at once.")),
        ("tok_declined", _("Card that is declined"), "0002", _("The bank says no.")),
        ("tok_insufficient", _("Card with too little money"), "9995", _("The bank says no: not enough money.")),
        ("tok_3ds", _("Card that asks whether it is you"), "3155", _("The bank asks first (3-D Secure).")),
        ("tok_timeout", _("Card whose bank is slow"), "0044", _("No answer for some seconds; then it succeeds.")),
    ]
    context = _common(request, charge, "")
    return render(
        request,
        "payments/sandbox.html",
        status=status,
        **context,
        cards=cards,
        cancel_url=charge.return_path,
        problem=problem,
    )


def _common(request: Request, charge: SandboxCharge, tail: str) -> dict[str, Any]:
    reference, _dot, words = charge.description.partition(" · ")
    merchant = request.settings.email_from_name
    shown = _Shown(charge.id, charge.amount_minor, charge.currency, merchant, words, reference)
    return {"payment": shown, "action": f"/sandbox-pay/{charge.id}{tail}"}


def _back(charge: SandboxCharge) -> Response:
    return _to(charge.return_path)


def _to(path: str) -> Response:
    return RedirectResponse(path, status_code=303)


routes = [
    endpoint("/webhooks/stripe", stripe_word, methods=("POST",)),
    page("/sandbox-pay/{charge}", hosted),
    page("/sandbox-pay/{charge}", choose, methods=("POST",)),
    page("/sandbox-pay/{charge}/challenge", challenge),
    page("/sandbox-pay/{charge}/challenge", answer, methods=("POST",)),
]
