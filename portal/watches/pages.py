"""Pages of waiting lists and fare alerts, and where the links of mails lead. A GET never changes what is watched."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from starlette.responses import Response

from portal.booking.queries import booking_view
from portal.kit import clock, db, grants, i18n, limits, money, signing
from portal.kit.errors import Invalid, NotFound, PortalError
from portal.kit.i18n import gettext as _
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.places.queries import places_by_code
from portal.watches import errors, queries, rules, service, told
from portal.watches.forms import FullFlights, NewAlert, NewWait

PARTY = ("adults", "children", "infants")
ASKED = ("origin", "destination", "departureDate", "cabin", *PARTY)


def cabins() -> list[tuple[str, str]]:
    """Return the cabins with what they are called."""
    return [("economy", _("Economy")), ("premium", _("Premium")), ("business", _("Business")), ("first", _("First"))]


# ── waiting lists ─────────────────────────────────────────────────────────────────────────────────────────


def full_flights(request: Request) -> Response:
    """List the flights of a day without seats for the party, with the form to wait for one."""
    asked = parse(FullFlights, {name: request.query_params[name] for name in ASKED if request.query_params.get(name)})
    return _line_page(request, asked, {}, 200)


def join(request: Request) -> Response:
    """Give the party its place in line; the answer is the same whether or not the address waits already."""
    fields = {name: value for name, value in request.fields.items() if value and name in (*ASKED, "flightId", "email")}
    asked = parse(FullFlights, {name: value for name, value in fields.items() if name in ASKED})
    try:
        first, _comma, onward = str(fields.get("flightId", "")).partition(",")
        flights = {"flightId": first, **({"onwardFlightId": onward} if onward else {})}
        wish = parse(NewWait, {name: v for name, v in fields.items() if name not in ASKED[:3]} | flights)
        _count(request, wish.email)
        with db.writing() as session:
            service.join(session, wish, user_id=request.viewer_id, locale=i18n.locale.get())
    except errors.NotFull as no:
        return see_other(request, _results(asked), Notice("good", f"{no.title}."))
    except (Invalid, errors.LineClosed, errors.TooManyWatches, errors.UnknownWait) as no:
        found = dict(errors_by_field(no)) or {"flightId": f"{no.title}."}
        return _line_page(request, asked, found, no.status)
    words = _("You are on the list. We have written to %(email)s: the letter says how to leave.") % {
        "email": wish.email
    }
    return see_other(request, "/account/watches" if request.viewer else _results(asked), Notice("good", words))


def _line_page(request: Request, asked: FullFlights, wrong: dict[str, str], status: int) -> Response:
    closes_at, party = clock.now() + rules.LINE_ENDS, asked.party
    ends, on = (asked.origin, asked.destination), asked.departure_date
    with db.reading() as session:
        places = places_by_code(session, ends)
        values: dict[str, Any] = {"cabin": asked.cabin, "seats": party.seats, "closes_at": closes_at}
        full = queries.full_flights(session, ends, on, **values)
    if len(places) < 2:
        raise NotFound()
    return render(
        request,
        "watches/waiting_list.html",
        status=status,
        asked=asked,
        origin=places[asked.origin],
        destination=places[asked.destination],
        full=[(told.way(one), one) for one in full],
        party=party,
        cabin=dict(cabins())[asked.cabin],
        chosen=str(request.fields.get("flightId") or (told.way(full[0]) if len(full) == 1 else "")),
        email=str(request.fields.get("email") or (request.viewer.email if request.viewer else "")),
        errors=wrong,
        results_url=_results(asked),
        hold_hours=rules.HOLD_MINUTES // 60,
    )


def _results(asked: FullFlights) -> str:
    ends = asked.origin, asked.destination
    return told.results_path(ends, asked.departure_date, asked.party, asked.cabin)


def _count(request: Request, email: str) -> None:
    limits.check(request.settings, "watch-caller", limits.caller(request.scope))
    limits.check(request.settings, "watch-address", email.lower())


def wait(request: Request) -> Response:
    """Show the place in line that a mail's link is for."""
    token = request.path_params["token"]
    with db.reading() as session:
        view = queries.wait(session, told.read_wait(request.settings, token))
    if view is None:
        raise errors.UnknownWait()
    return render(request, "watches/wait.html", wait=view, cabin=dict(cabins())[view.cabin], token=token)


def leave(request: Request) -> Response:
    """Give the place up; mail programs post here too (RFC 8058)."""
    token = request.path_params["token"]
    with db.writing() as session:
        service.leave(session, told.read_wait(request.settings, token))
    return see_other(request, f"/waiting-list/{token}", Notice("good", _("You have left the waiting list.")))


def by_mail(request: Request) -> Response:
    """Let who followed a mailed link manage its booking, and lead to the page it is for.

    A link of an older letter, which names no mailbox, leads to where a new one is asked for once the contact has moved.
    """
    try:
        found = grants.read_link(request.settings, request.path_params["token"])
        with db.reading() as session:
            view = booking_view(session, found.reference)
        contact, moved = (view.contact_email, view.contact_moved) if view else (None, False)
        if not grants.still_for(request.settings, found, contact, moved=moved):
            return _moved(request, found)
    except signing.Lapsed:
        words = _("This link is too old. The booking's reference and a family name show it as well.")
        return see_other(request, "/manage", Notice("info", words))
    except ValueError:
        raise NotFound(_("This link is too old, or not whole. Please use the newest letter.")) from None
    response = see_other(request, found.page)
    grants.grant(request, response, found.reference, "manage")
    return response


def _moved(request: Request, found: grants.MailedLink) -> Response:
    if found.address is not None:
        raise NotFound(_("This link is too old, or not whole. Please use the newest letter."))
    words = _("Mails about this booking go to another address since. Find it here, and we mail a new link there.")
    return see_other(request, "/manage", Notice("info", words))


# ── fare alerts ───────────────────────────────────────────────────────────────────────────────────────────


def alert_form(request: Request) -> Response:
    """Ask for what to listen to; a results page fills most of it in."""
    typed = {name: request.query_params.get(name, "")[:80] for name in (*ASKED, "month", "below", "currency")}
    return _alert_page(request, typed, {}, 200)


def listen(request: Request) -> Response:
    """Keep an alert, pending until its address confirms it."""
    typed = {name: str(value)[:254] for name, value in request.fields.items()}
    currency = typed.get("currency") or request.settings.currency
    fields = {**typed, "below": {"amount": money.typed_text(typed.get("below", ""), currency), "currency": currency}}
    fields.pop("currency", None)
    fields.pop("departureDate" if typed.get("span") == "month" else "month", None)
    fields.pop("span", None)
    try:
        wish = parse(NewAlert, nested(fields))
        _count(request, wish.email)
        with db.writing() as session:
            service.listen(session, wish, user_id=request.viewer_id, locale=i18n.locale.get())
    except (Invalid, errors.TooManyWatches) as no:
        found = {name.split(".")[0]: words for name, words in errors_by_field(no).items()}
        return _alert_page(request, typed, found or {"email": f"{no.title}."}, no.status)
    words = _("Please open the letter that we have sent to %(email)s and confirm: then the alert begins.")
    url = "/account/watches" if request.viewer else "/"
    return see_other(request, url, Notice("info", words % {"email": wish.email}))


def _alert_page(request: Request, typed: dict[str, str], wrong: dict[str, str], status: int) -> Response:
    codes = [typed.get(name, "").strip().upper() for name in ("origin", "destination")]
    with db.reading() as session:
        places = places_by_code(session, [code for code in codes if len(code) == 3])
    texts = [f"{places[code].city} ({code})" if code in places else code for code in codes]
    day = typed.get("departureDate", "")
    today = clock.now().date()
    return render(
        request,
        "watches/fare_alert.html",
        status=status,
        form={**dict.fromkeys((*ASKED, "month", "below", "email", "span"), ""), **typed},
        origin=(codes[0], texts[0]),
        destination=(codes[1], texts[1]),
        month=typed.get("month") or day[:7],
        currency=typed.get("currency") or request.settings.currency,
        cabins=cabins(),
        email=typed.get("email") or (request.viewer.email if request.viewer else ""),
        errors=wrong,
        first_day=today.isoformat(),
    )


def alert(request: Request) -> Response:
    """Show the alert that a mail's link is for, with the button that begins or ends it."""
    token = request.path_params["token"]
    with db.reading() as session:
        view = queries.alert(session, told.read_alert(request.settings, token))
    if view is None:
        raise errors.UnknownAlert()
    return render(
        request,
        "watches/alert.html",
        alert=view,
        cabin=dict(cabins())[view.cabin],
        token=token,
        search_url=told.search_path(view, max(view.first_on, clock.now().date())),
    )


def begin(request: Request) -> Response:
    """Begin the alert: whoever posts here has read the mail that was sent to its address."""
    token = request.path_params["token"]
    with db.writing() as session:
        service.begin(session, told.read_alert(request.settings, token))
    return see_other(request, f"/fare-alerts/{token}", Notice("good", _("Your fare alert has begun.")))


def stop(request: Request) -> Response:
    """End the alert; mail programs post here too (RFC 8058)."""
    token = request.path_params["token"]
    with db.writing() as session:
        service.stop(session, told.read_alert(request.settings, token))
    return see_other(request, f"/fare-alerts/{token}", Notice("good", _("Your fare alert is stopped.")))


# ── one's own ─────────────────────────────────────────────────────────────────────────────────────────────


def mine(request: Request) -> Response:
    """List what the account waits for and listens to."""
    viewer = request.require()
    with db.reading() as session:
        waits, alerts = queries.own_waits(session, viewer.id), queries.own_alerts(session, viewer.id)
    return render(request, "watches/mine.html", waits=waits, alerts=alerts, cabins=dict(cabins()))


def leave_mine(request: Request) -> Response:
    """Give one of the account's places up."""
    viewer = request.require()
    with db.writing() as session:
        service.leave(session, _id(request, errors.UnknownWait()), user_id=viewer.id)
    return see_other(request, "/account/watches", Notice("good", _("You have left the waiting list.")))


def stop_mine(request: Request) -> Response:
    """End one of the account's alerts."""
    viewer = request.require()
    with db.writing() as session:
        service.stop(session, _id(request, errors.UnknownAlert()), user_id=viewer.id)
    return see_other(request, "/account/watches", Notice("good", _("Your fare alert is stopped.")))


def _id(request: Request, no: PortalError) -> UUID:
    try:
        return UUID(request.path_params["id"])
    except ValueError:
        raise no from None


routes = [
    page("/waiting-list", full_flights),
    page("/waiting-list", join, methods=("POST",)),
    page("/waiting-list/{token}", wait),
    page("/waiting-list/{token}", leave, methods=("POST",)),
    page("/links/{token}", by_mail),
    page("/fare-alerts", alert_form),
    page("/fare-alerts", listen, methods=("POST",)),
    page("/fare-alerts/{token}", alert),
    page("/fare-alerts/{token}", stop, methods=("POST",)),
    page("/fare-alerts/{token}/begin", begin, methods=("POST",)),
    page("/account/watches", mine),
    page("/account/watches/waits/{id}", leave_mine, methods=("POST",)),
    page("/account/watches/alerts/{id}", stop_mine, methods=("POST",)),
]
