"""How a change by the carrier is told to its traveller: what was, what is, what is owed, by when to answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

from portal.disruptions.rules import Affected, choices
from portal.flights.queries import FlightView
from portal.kit import grants, i18n, mail, signing
from portal.kit.i18n import gettext as _
from portal.kit.settings import Settings

LINK, LINK_SECONDS = "carrier-change", 400 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Side:
    """The flight before or after: when it leaves and lands at its own ends, with what; what differs is marked."""

    departure: datetime
    arrival: datetime
    aircraft: str
    cancelled: bool
    new_departure: bool = False
    new_arrival: bool = False
    new_aircraft: bool = False

    @property
    def minutes(self) -> int:
        """Real minutes in the air."""
        return round((self.arrival.timestamp() - self.departure.timestamp()) / 60)

    @property
    def day_shift(self) -> int:
        """Days by which the calendar differs on arrival."""
        return (self.arrival.date() - self.departure.date()).days


@dataclass(frozen=True, slots=True)
class Told:
    """One change in words: for the page, the mail and the notice on the booking."""

    one: Affected
    flight: FlightView
    headline: str
    sentence: str
    right: str
    deadline: str
    money: str
    was: Side
    now: Side
    choices: tuple[str, ...]


def told(one: Affected, flight: FlightView) -> Told:
    """Return the change as it is told; `flight` is the flight as it stands."""
    was, now = side(one.before), side(one.after)
    differs = {
        "new_departure": was.departure != now.departure,
        "new_arrival": was.arrival != now.arrival,
        "new_aircraft": was.aircraft != now.aircraft,
    }
    marked = Side(now.departure, now.arrival, now.aircraft, now.cancelled, **differs)
    may = choices(one.why, by_right=one.by_right) if one.is_open else ()
    return Told(
        one,
        flight,
        _headline(one, flight),
        _sentence(one, flight),
        _right(one),
        _deadline(one, flight),
        _money(one),
        was,
        marked,
        may,
    )


def side(kept: dict[str, Any]) -> Side:
    """Return one side of a change as the books keep it."""
    leaves, lands = (datetime.fromisoformat(kept[name]) for name in ("departureAt", "arrivalAt"))
    return Side(leaves, lands, kept["aircraftName"], kept["status"] == "cancelled")


def _headline(one: Affected, flight: FlightView) -> str:
    known = {"flight": flight.designator, "day": i18n.short_day(flight.departs_on), "time": _later(one)}
    if one.kind == "delay" and one.shift_minutes == 0:
        return _("Your flight %(flight)s on %(day)s leaves on time after all") % known
    words = {
        "cancelled": _("Your flight %(flight)s on %(day)s is cancelled"),
        "misconnected": _("You would miss your connection: %(flight)s on %(day)s has changed"),
        "no_seat": _("There is no seat for you on %(flight)s on %(day)s any more"),
        "retimed": _("Your flight %(flight)s on %(day)s has new times"),
        "delayed": _("Your flight %(flight)s on %(day)s is %(time)s late"),
        "swapped": _("Another aircraft flies %(flight)s on %(day)s"),
    }
    return words[one.why] % known


def _later(one: Affected) -> str:
    return i18n.duration(one.shift_minutes)


def _sentence(one: Affected, flight: FlightView) -> str:
    known = {"city": flight.destination.city, "aircraft": flight.aircraft_name}
    words = {
        "cancelled": _("We are sorry. Choose another flight, or have your money back."),
        "misconnected": _(
            "The time to change planes is too short now. Choose another flight, or have your money back."
        ),
        "no_seat": _(
            "A smaller aircraft, the %(aircraft)s, has to fly. Choose another flight, or have your money back."
        ),
        "retimed": _("Please tell us whether the new times suit you."),
        "delayed": _("Please tell us whether that suits you."),
        "swapped": _("It is the %(aircraft)s. Your seat as it is now stands on your booking."),
    }
    if one.why in ("retimed", "delayed") and not one.needs_answer:
        return _("You need not do anything.")
    return words[one.why] % known


def _money(one: Affected) -> str:
    """What went back by itself: only a seat that was paid for and is lost or worse does."""
    if not one.back_minor or one.needs_answer:
        return ""
    words = _("What you paid for your seat, %(amount)s, goes back to where it came from.")
    return words % {"amount": i18n.price(one.back_minor, one.currency)}


def _right(one: Affected) -> str:
    if not one.by_right:
        return ""
    return _("You have a right to the whole price of every flight not flown yet, whatever your fare says.")


def _deadline(one: Affected, flight: FlightView) -> str:
    if one.refund_at is None or not one.is_open:
        return ""
    when = i18n.moment(one.refund_at.astimezone(ZoneInfo(flight.origin.time_zone)))
    words = _("If we hear nothing by %(when)s (time in %(city)s), the money goes back by itself.")
    return words % {"when": when, "city": flight.origin.city}


def address(settings: Settings, reference: str, *, to: str | None = None) -> str:
    """Return the page of a booking's changes for a mail: whoever has it may decide, as only the contact does.

    `to` says which mailbox it goes to: a new contact ends the links of the old.
    """
    sealed = signing.seal(settings, LINK, [reference, grants.mailbox(settings, to)] if to else reference)
    return f"{settings.base_url}/bookings/{reference}/changes-by-airline?key={sealed}"


def read(settings: Settings, key: str, reference: str) -> grants.MailedLink | None:
    """Return what `key` is good for if it came from a mail about this booking, else None."""
    try:
        sealed = signing.unseal(settings, LINK, key, max_age_seconds=LINK_SECONDS)
    except ValueError:
        return None
    whose, *mark = [sealed] if isinstance(sealed, str) else sealed
    return grants.MailedLink(reference, "", *mark) if whose == reference else None


@dataclass(frozen=True, slots=True)
class Notice:
    """A change that waits for an answer, in two lines: what happened to which flight, and old → new times."""

    headline: str
    times: tuple[str, ...]


def notice(told: Told) -> Notice:
    """Return the change as the booking's page tells it in passing."""
    day = i18n.short_day(told.now.departure) if told.now.departure.date() != told.was.departure.date() else ""
    ends = (
        (told.flight.origin.code, told.was.departure, told.now.departure, day),
        (told.flight.destination.code, told.was.arrival, told.now.arrival, ""),
    )
    return Notice(told.headline, tuple(_moved(*end, gone=told.now.cancelled) for end in ends))


def _moved(code: str, was: datetime, now: datetime, day: str, *, gone: bool) -> str:
    old, new = i18n.clock_time(was), i18n.clock_time(now)
    if gone or (old == new and not day):
        return f"{code} {old}"
    return f"{code} {old} → {' '.join(part for part in (day, new) if part)}"


def change_mail(told: Told, settings: Settings, *, reminder: int = 0, files: Sequence[mail.File] = ()) -> EmailMessage:
    """Return the mail of one change to one booking, or its `reminder`-th reminder; Hopeless without an address.

    `files` are the papers as they stand now, where nothing is asked.
    """
    one = told.one
    with i18n.speaking(one.locale):
        subject = told.headline if not reminder else _("Please answer: %(headline)s") % {"headline": told.headline}
        return mail.compose(
            settings,
            to=one.contact_email or "",
            subject=f"{subject}, {one.reference}",
            template="flight_changed",
            identity=f"carrier_change.{one.id}.{reminder or ''}",
            locale=one.locale,
            files=tuple(files),
            told=told,
            reference=one.reference,
            reminder=bool(reminder),
            choices=[choice_words(name) for name in told.choices],
            link=address(settings, one.reference, to=one.contact_email),
        )


def figure_words(kind: str, scope: str) -> tuple[str, str]:
    """Return what a figure of what is owed is called, and what it decides."""
    return {
        ("answer", "any"): (
            _("Asked from"),
            _("Who lands later or leaves earlier by this much is asked, and may fly otherwise at no cost."),
        ),
        ("refund", "domestic"): (
            _("Money back, domestic"),
            _("Who lands later or leaves earlier by this much has a right to the whole price, within a country."),
        ),
        ("refund", "international"): (
            _("Money back, international"),
            _("Who lands later or leaves earlier by this much has a right to the whole price, across a border."),
        ),
        ("clock", "any"): (
            _("Time to answer"),
            _("After this long without an answer, what cannot be flown is refunded by itself."),
        ),
    }[kind, scope]


def span_words(minutes: int) -> str:
    """Return so many minutes in words; whole days as days."""
    days, rest = divmod(minutes, 24 * 60)
    return i18n.duration(minutes) if rest else i18n.ngettext("%(num)s day", "%(num)s days", days) % {"num": days}


def choice_words(choice: str) -> tuple[str, str]:
    """Return a choice and what it means."""
    return {
        "accept": (_("Accept"), _("Keep the booking as it is now.")),
        "rebook": (
            _("Choose another flight"),
            _("Same route and cabin, up to 14 days earlier or later, at no extra cost."),
        ),
        "refund": (_("Have the money back"), _("For every flight not flown yet, to where it came from.")),
    }[choice]


def state_words(one: Affected) -> str:
    """Return how a change ended for a booking, for its traveller and for staff."""
    if one.state == "noted":
        return _("Not paid yet") if one.booking_status == "held" else _("Not told yet")
    if one.state == "told":
        return _("Waiting for an answer") if one.needs_answer else _("Told")
    return {
        "accepted": _("Accepted"),
        "rebooked": _("Another flight was chosen"),
        "refunded": _("Refunded"),
        "lapsed": _("Over"),
    }[one.state]


@dataclass(frozen=True, slots=True)
class Bar:
    """One cabin's bar: what is sold, against the mark of its last seat."""

    label: str
    value: int
    before: int
    shown: str
    href: str = "#passengers"


def bar(cabin: str, sold: int, capacity: int, held: int) -> Bar:
    """Return a cabin's bar for staff."""
    names = {"economy": _("Economy"), "premium": _("Premium economy"), "business": _("Business"), "first": _("First")}
    known = {"sold": sold, "capacity": capacity, "held": held}
    words = _("%(sold)d of %(capacity)d, %(held)d held") if held else _("%(sold)d of %(capacity)d")
    return Bar(names.get(cabin, cabin), sold, capacity, words % known)


def initials(ticket_name: str | None) -> str:
    """Return what fits into a seat: SMITH/ANNA is AS."""
    family, _slash, given = (ticket_name or "").partition("/")
    return f"{given[:1]}{family[:1]}"


def brief(kept: dict[str, Any] | None) -> str:
    """Return one side of the audit's entry of a flight in a line: times, aircraft and state, what of it changed."""
    told = kept or {}
    kept_times = [told[name] for name in ("departureAt", "arrivalAt") if name in told]
    times = [i18n.clock_time(datetime.fromisoformat(one)) for one in kept_times]
    words = [
        " – ".join(times),
        told.get("aircraftName", ""),
        _("cancelled") if told.get("status") == "cancelled" else "",
    ]
    return ", ".join(filter(None, words)) or "–"
