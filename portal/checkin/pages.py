"""Pages of check-in and boarding passes: who flies, documents, seats, passes; and the gate's page for staff."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlencode
from uuid import UUID

from starlette.responses import Response

from portal.checkin import errors, gate, queries, rules, service, told
from portal.checkin.forms import DocumentsIn, ScanIn, Wish
from portal.checkin.rules import Desk, Pick
from portal.checkin.told import boarding_passes
from portal.flights.errors import Busy, SeatTaken, SeatUnknown
from portal.flights.queries import flight_by_public_id
from portal.flights.seating import seat_plan
from portal.kit import clock, db, grants, i18n, ids, mail
from portal.kit.errors import Invalid
from portal.kit.i18n import gettext as _
from portal.kit.i18n import ngettext
from portal.kit.validation import nested, parse
from portal.kit.web import Notice, Request, errors_by_field, page, render, see_other
from portal.seats.errors import SeatNotAllowed
from portal.seats.queries import liked

TOO_LATE_FOR_A_SEAT = (SeatTaken, SeatUnknown, SeatNotAllowed, errors.NoSeatLeft, Busy)


def who(request: Request) -> Response:
    """Ask who checks in for which flights; what cannot be is there too, with the reason."""
    return _who_page(request, _look(request), {}, 200)


def choose_who(request: Request) -> Response:
    """Go on with those who were ticked: to their documents, or to the seats."""
    desk = _look(request)
    picked = _ticked(desk, request.fields.getlist("pick"))
    problem = _problem(desk, picked)
    if problem:
        return _who_page(request, desk, {"pick": problem}, 422)
    picks = rules.completed(desk, picked)
    step = "documents" if rules.documents_needed(desk, picks) else "seats"
    return see_other(request, f"{_at(desk)}/check-in/{step}?{_query(desk, picks)}")


def _problem(desk: Desk, picked: Sequence[Pick]) -> str | None:
    if not picked:
        return _("Please tick at least one traveller.")
    now = clock.now()
    for one, flight_id in picked:
        flight = desk.flight(flight_id)
        closed = rules.traveller_closed(desk, one, flight, now) if flight else _("This flight is not part of the trip.")
        if closed:
            return closed
    return rules.split_problem(desk, rules.completed(desk, picked))


def _who_page(request: Request, desk: Desk, wrong: dict[str, str], status: int) -> Response:
    counters = told.counters(desk, clock.now())
    return render(
        request,
        "checkin/who.html",
        status=status,
        booking=desk.view,
        counters=counters,
        errors=wrong,
        any_open=any(one.closed is None and one.made is None for c in counters for one in c.people),
        any_made=bool(desk.checked_in),
    )


def documents(request: Request) -> Response:
    """Ask for the documents that the flights need; those that are known need not be typed again."""
    desk = _look(request)
    picks = _picked(desk, request)
    if not rules.documents_needed(desk, picks):
        return see_other(request, f"{_at(desk)}/check-in/seats?{_query(desk, picks)}")
    return _documents_page(request, desk, picks, {}, {}, 200)


def keep_documents(request: Request) -> Response:
    """Keep the documents and go on to the seats, or show what is wrong beside what was typed."""
    reference, asker = _reference(request), _asker(request)
    typed = {name: str(value) for name, value in request.fields.items()}
    with db.writing() as session:
        service.look(session, reference, asker)
        desk = service.open_desk(session, reference)
        picks = _picked(desk, request)
        try:
            given = _given(desk, typed)
            service.keep_documents(session, desk, given, picks, at="documents.")
        except Invalid as no:
            session.rollback()
            return _documents_page(request, desk, picks, typed, dict(errors_by_field(no)), no.status)
    return see_other(request, f"{_at(desk)}/check-in/seats?{_query(desk, picks)}")


def _given(desk: Desk, typed: dict[str, str]) -> dict[UUID, rules.Document]:
    """Return the documents that were typed; a known one whose number is left empty stays as it is."""
    tree = nested({name: value for name, value in typed.items() if name.startswith("documents.")}).get("documents", {})
    places = {str(one.position): one for one in desk.view.active_passengers}
    rows = tree if isinstance(tree, dict) else dict(zip(sorted(_positions(typed), key=int), tree, strict=False))
    known = {place for place, one in places.items() if one.id in desk.documents}
    filled = {p: row for p, row in rows.items() if p in places and (p not in known or "number" in row)}
    found = parse(DocumentsIn, {"documents": filled}).documents
    return {places[place].id: one.document() for place, one in found.items()}


def _positions(typed: dict[str, str]) -> set[str]:
    return {name.split(".")[1] for name, value in typed.items() if name.startswith("documents.") and value}


def _documents_page(
    request: Request, desk: Desk, picks: Sequence[Pick], typed: dict[str, str], wrong: dict[str, str], status: int
) -> Response:
    papers = told.papers(desk, picks)
    return render(
        request,
        "checkin/documents.html",
        status=status,
        booking=desk.view,
        papers=papers,
        typed=typed,
        errors=wrong,
        labels=_labels(papers),
        countries=rules.countries(i18n.locale.get()),
        query=_query(desk, picks),
        kept_days=rules.DOCUMENTS_KEPT.days,
    )


def _labels(papers: Sequence[told.Paper]) -> dict[str, str]:
    names = {
        "type": _("Document"),
        "number": _("Number"),
        "nationality": _("Nationality"),
        "issuingCountry": _("Issued by"),
        "expiresOn": _("Good until"),
        "sex": _("Sex"),
    }
    return {
        f"documents.{one.passenger.position}.{key}": f"{one.passenger.name}, {text}"
        for one in papers
        for key, text in names.items()
    }


def seats(request: Request) -> Response:
    """Show the cabin with a suggestion that keeps the party together, free to be changed."""
    desk = _look(request)
    return _seats_page(request, desk, _picked(desk, request), {}, "", 200)


def check_in(request: Request) -> Response:
    """Check in with these seats and show the passes; a seat that has gone meanwhile is said, the others kept."""
    reference, asker = _reference(request), _asker(request)
    chosen = {name: str(value) for name, value in request.fields.items() if name.startswith("seat.") and value}
    with db.reading() as session:
        desk = service.look(session, reference, asker)
    picks = _picked(desk, request)
    wishes = [
        Wish(one, flight.public_id, chosen.get(told.seat_field(one, flight)))
        for one, flight_id in picks
        if (flight := desk.flight(flight_id)) is not None
    ]
    try:
        with db.writing() as session:
            source = "O" if asker.staff else "W"
            service.check_in(session, reference, wishes, now=clock.now(), actor_id=asker.user_id, source=source)
    except errors.DocumentsMissing:
        return see_other(request, f"{_at(desk)}/check-in/documents?{_query(desk, picks)}")
    except TOO_LATE_FOR_A_SEAT as no:
        return _seats_page(request, desk, picks, chosen, no.detail, no.status)
    except (errors.CheckInClosed, errors.PartySplit) as no:
        return _who_page(request, _look(request), {"pick": no.detail}, no.status)
    count = len({one for one, _flight in picks})
    done = ngettext("Checked in. Have a good flight.", "All checked in. Have a good flight.", count)
    return see_other(request, f"{_at(desk)}/boarding-passes", Notice("good", done))


def _seats_page(
    request: Request, desk: Desk, picks: Sequence[Pick], chosen: dict[str, str], wrong: str, status: int
) -> Response:
    with db.reading() as session:
        flights = [one for one in desk.view.flights if any(flight == one.id for _who, flight in picks)]
        plans = {one.id: seat_plan(session, one.id).cabin(desk.piece(one.id).cabin) for one in flights}
        wish = liked(session, desk.view)
    known = [(one, plan) for one in flights if (plan := plans[one.id]) is not None]
    aboard = [told.aboard(desk, one, plan, picks, chosen, wish) for one, plan in known]
    return render(
        request,
        "checkin/seats.html",
        status=status,
        booking=desk.view,
        aboard=aboard,
        query=_query(desk, picks),
        wrong=wrong,
    )


def passes(request: Request) -> Response:
    """Show the boarding passes, the code first; who has none yet is sent to check in."""
    desk = _look(request)
    found = boarding_passes(desk)
    if not found:
        return see_other(request, f"{_at(desk)}/check-in")
    waiting = told.some_may_check_in(desk, clock.now())
    return render(request, "checkin/passes.html", booking=desk.view, passes=found, waiting=waiting)


def saved(request: Request) -> Response:
    """Hand over the passes as one page that needs nothing else: it opens without a network, from the phone itself."""
    desk = _look(request)
    found = boarding_passes(desk)
    if not found:
        raise errors.NotCheckedIn(_("Nobody of this booking is checked in yet."))
    response = render(request, "checkin/saved.html", booking=desk.view, passes=found, made_at=clock.now())
    response.headers["Content-Disposition"] = f'attachment; filename="boarding-passes-{desk.view.reference}.html"'
    response.headers["Cache-Control"] = "private, no-store"
    return response


def passes_pdf(request: Request) -> Response:
    """Hand over the passes on paper."""
    desk = _look(request)
    return _file(service.passes_pdf(service.printable_passes(desk), desk.view, request.settings))


def _file(made: mail.File) -> Response:
    name = f"inline; filename*=UTF-8''{quote(made.name)}"
    headers = {"Content-Disposition": name, "Cache-Control": "private, no-store"}
    return Response(made.content, media_type=made.media_type, headers=headers)


def undo(request: Request) -> Response:
    """Take a check-in back and say so."""
    reference, asker = _reference(request), _asker(request)
    try:
        with db.writing() as session:
            desk = service.look(session, reference, asker)
            service.undo(session, reference, request.path_params["id"], now=clock.now(), actor_id=asker.user_id)
    except (errors.AlreadyBoarded, errors.CheckInClosed, errors.PartySplit) as no:
        return see_other(request, f"/bookings/{reference}/check-in", Notice("stop", no.detail or no.title))
    done = Notice("info", _("The check-in is undone; the seat stays yours."))
    return see_other(request, f"{_at(desk)}/check-in", done)


def _look(request: Request) -> Desk:
    with db.reading() as session:
        return service.look(session, _reference(request), _asker(request))


def _reference(request: Request) -> str:
    return ids.normal_reference(request.path_params["reference"])


def _asker(request: Request) -> service.Asker:
    return service.Asker(**grants.standing(request, _reference(request)))


def _at(desk: Desk) -> str:
    return f"/bookings/{desk.view.reference}"


def _query(desk: Desk, picks: Sequence[Pick]) -> str:
    pairs = ((one, desk.flight(flight)) for one, flight in picks if one not in desk.guardians)
    return urlencode([("pick", told.pick_value(one, flight)) for one, flight in pairs if flight])


def _picked(desk: Desk, request: Request) -> list[Pick]:
    """Return who was ticked, with the infants on their laps; what the address names wrongly is left out."""
    values = request.query_params.getlist("pick") or request.fields.getlist("pick")
    return rules.completed(desk, _ticked(desk, values))


def _ticked(desk: Desk, values: Sequence[Any]) -> list[Pick]:
    """Return the (traveller, flight) pairs that were sent; what is none is left out."""
    known = {
        told.pick_value(one.id, flight): (one.id, flight.id)
        for flight in desk.view.flights
        for one in desk.view.active_passengers
    }
    return [known[str(value)] for value in values[: len(known)] if str(value) in known]


def gate_list(request: Request) -> Response:
    """List the flights that leave today and tomorrow, with how many are checked in and on board. For staff."""
    request.require("staff", "admin")
    now, asked = clock.now(), request.query_params.get("q", "").replace("\0", "")[:20]
    when = {"since": now - rules.GATES_SINCE, "until": now + rules.GATES_UNTIL}
    with db.reading() as session:
        gates = queries.gates(session, **when, most=rules.MOST_GATES, narrowed=asked)
    most = rules.MOST_GATES if len(gates) == rules.MOST_GATES else None
    return render(request, "checkin/gates.html", block="rows", gates=gates, asked=asked, most=most)


def one_gate(request: Request) -> Response:
    """Show a flight's gate: the scanner's field, and who is expected, checked in and on board. For staff."""
    request.require("staff", "admin")
    return _gate_page(request, "list", None)


def scan(request: Request) -> Response:
    """Let who holds this pass on board and show what it came to; a number stands for this flight's pass. For staff."""
    staff = request.require("staff", "admin")
    code = str(request.fields.get("code", "")).strip("\r\n")
    flight_id = request.path_params["id"]
    typed = {"sequence": int(code)} if code.strip().isdecimal() and len(code.strip()) <= 4 else {"barcode": code}
    try:
        wish = parse(ScanIn, {"flightId": flight_id, **typed})
        with db.writing() as session:
            found = gate.board(session, wish, staff_id=staff.id, now=clock.now())
    except (errors.BoardingClosed, Invalid) as no:
        return _gate_page(request, "gate", told.Answer("stop", no.title, no.detail), no.status)
    return _gate_page(request, "gate", told.gate_answer(found))


def set_gate(request: Request) -> Response:
    """Close the flight's gate, or open it again. For staff."""
    staff, flight_id = request.require("staff", "admin"), request.path_params["id"]
    with db.writing() as session:
        if request.fields.get("gate") == "open":
            gate.reopen(session, flight_id, staff_id=staff.id)
        else:
            gate.close(session, flight_id, staff_id=staff.id, now=clock.now())
    return see_other(request, f"/admin/boarding/{flight_id}")


def _gate_page(request: Request, block: str, answer: told.Answer | None, status: int = 200) -> Response:
    with db.reading() as session:
        flight = flight_by_public_id(session, request.path_params["id"])
        if flight is None:
            raise errors.UnknownFlight()
        rows, closed_at = queries.gate_list(session, flight.id), queries.gate_closed_at(session, flight.id)
    counts = {
        state: sum(row.state == state for row in rows) for state in ("expected", "checked_in", "boarded", "no_show")
    }
    shown = {"flight": flight, "rows": rows, "counts": counts, "closed_at": closed_at, "answer": answer}
    return render(request, "checkin/gate.html", block=block, status=status, **shown)


routes = [
    page("/bookings/{reference}/check-in", who),
    page("/bookings/{reference}/check-in", choose_who, methods=("POST",)),
    page("/bookings/{reference}/check-in/documents", documents),
    page("/bookings/{reference}/check-in/documents", keep_documents, methods=("POST",)),
    page("/bookings/{reference}/check-in/seats", seats),
    page("/bookings/{reference}/check-in/seats", check_in, methods=("POST",)),
    page("/bookings/{reference}/check-ins/{id:uuid}/undo", undo, methods=("POST",)),
    page("/bookings/{reference}/boarding-passes", passes),
    page("/bookings/{reference}/boarding-passes.html", saved),
    page("/bookings/{reference}/boarding-passes.pdf", passes_pdf),
    page("/admin/boarding", gate_list),
    page("/admin/boarding/{id:uuid}", one_gate),
    page("/admin/boarding/{id:uuid}", set_gate, methods=("POST",)),
    page("/admin/boarding/{id:uuid}/scans", scan, methods=("POST",)),
]
