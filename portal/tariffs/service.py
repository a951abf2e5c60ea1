"""What staff may do with prices and promotions. Each deed is in the audit trail with its before and after.

Nothing that priced something is edited: a change of a row with days is a new version from a day on. Books of prices are
remembered for a minute, so other processes follow within one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, inspect, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from portal.kit import audit, money
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.model import Base
from portal.pricing import promotions
from portal.pricing.models import FareBrand
from portal.pricing.promotions import Promotion, PromotionView
from portal.pricing.service import forget_books
from portal.tariffs import queries
from portal.tariffs.errors import CodeTaken, UnknownPromotion
from portal.tariffs.forms import PromotionPatch, PromotionWish
from portal.tariffs.queries import MODELS, Figure, Sample, find, row_id, values_of
from portal.tariffs.rules import Table, without_gap

ONE_DAY = timedelta(days=1)
OF_A_VERSION = ("id", "key", "valid_from", "valid_to")


def save(session: Session, kind: Table, number: str | None, values: Mapping[str, Any], *, actor_id: UUID) -> Base:
    """Keep a new row, or the next version of the row `number`; returns the row that holds from then on.

    `values` are all fields, with `valid_from` and perhaps `valid_to`. The version before ends the day before; it must
    have begun earlier. Raises Invalid at the field that does not fit, UnknownRow.
    """
    old = find(session, kind, number, lock=True) if number is not None else None
    before = values_of(old) if old is not None else None
    _require_short(kind, values)
    made = _insert(session, kind, old, values)
    _flush(session, kind)
    _require_brands(session, kind, values["valid_from"])
    _note(session, kind, "price.changed" if old is not None else "price.added", made, before, actor_id)
    forget_books()
    return made


def _require_short(kind: Table, values: Mapping[str, Any]) -> None:
    columns = inspect(MODELS[kind.name]).columns
    for name, value in values.items():
        most = getattr(getattr(columns.get(name), "type", None), "length", None)
        if isinstance(value, str) and most is not None and len(value) > most:
            raise Invalid(errors=[FieldError(name, _("At most %(most)s letters or digits.") % {"most": most})])


def _insert(session: Session, kind: Table, old: Base | None, values: Mapping[str, Any]) -> Base:
    model, starts = MODELS[kind.name], values["valid_from"]
    kept = {**_before(session, old, starts), **values}
    if hasattr(model, "key"):
        kept["key"] = _key(old, kept, starts)
    if hasattr(model, "position") and "position" not in kept:
        kept["position"] = (session.scalar(select(func.max(model.position))) or 0) + 1
    if kind.name == "brands":
        kept.setdefault("booking_class", "Y")
    made = model(**{name: value for name, value in kept.items() if hasattr(model, name)})
    session.add(made)
    return made


def _before(session: Session, old: Base | None, starts: date) -> dict[str, Any]:
    """End the version before, if there is one; returns what the next one keeps of it."""
    if old is None:
        return {}
    kept = {name: value for name, value in values_of(old).items() if name not in OF_A_VERSION} | _closed(old, starts)
    session.flush()  # an insert would go first, and two versions hold on one day
    return kept


def _closed(old: Any, starts: date) -> dict[str, Any]:
    if starts <= old.valid_from:
        words = _("This version began on %(day)s: the next one begins later.") % {"day": old.valid_from.isoformat()}
        raise Invalid(errors=[FieldError("valid_from", words)])
    if not hasattr(old, "valid_to"):
        return {}
    last = old.valid_to if old.valid_to is not None and old.valid_to >= starts else None
    if old.valid_to is None or old.valid_to >= starts:
        old.valid_to = starts - ONE_DAY
    return {"valid_to": last}


def _key(old: Any, values: Mapping[str, Any], starts: date | None) -> str:
    words = "-".join(str(values.get(name, "")) for name in ("kind", "cabin", "feature", "code", "label"))
    base = old.key.partition("@")[0] if old is not None else re.sub(r"[^a-z0-9]+", "-", words.lower()).strip("-")
    return f"{base[:80]}@{starts}"


def _flush(session: Session, kind: Table) -> None:
    """Write, and turn a check of the database into a sentence at the field that it is about."""
    try:
        with session.begin_nested():
            session.flush()
    except IntegrityError as no:
        name = str(getattr(getattr(no.orig, "diag", None), "constraint_name", "") or "")
        field, words = next((told for end, told in _refusals().items() if name.endswith(end)), ("", ""))
        words = words or _("These values do not go together.")
        raise Invalid(errors=[FieldError(field or kind.fields[0].name, words)]) from None


def _require_brands(session: Session, kind: Table, on: date) -> None:
    """Refuse what would leave a cabin that is on sale without any brand, from the day `on` or later."""
    if kind.name != "brands":
        return
    locked = select(FareBrand).order_by(FareBrand.cabin, FareBrand.brand, FareBrand.valid_from).with_for_update()
    rows = session.scalars(locked.execution_options(populate_existing=True)).all()
    for cabin in {one.cabin for one in rows}:
        days = [(one.valid_from, one.valid_to) for one in rows if one.cabin == cabin]
        if any(one[0] <= on for one in days) and not without_gap(days, on):
            raise Invalid(errors=[FieldError("valid_to", _("A cabin that is on sale needs a brand every day."))])


def _refusals() -> dict[str, tuple[str, str]]:
    first = "valid_from"
    return {
        "_key": (first, _("There is a version of this from that day already.")),
        "valid_in_order": ("valid_to", _("The last day is before the first.")),
        "factor_believable": ("factor_bp", _("Between 10 and 1000 per cent, please.")),
        "factor_positive": ("factor_bp", _("More than nothing, please.")),
        "code_short": ("code", _("Capital letters or digits, please.")),
        "bounds_in_order": ("high", _("It ends before it begins.")),
        "load_for_cabins": ("low", _("Sold seats go from 0 to 10000, without an end or a route.")),
        "season_of_the_year": ("low", _("Month and day, please, such as 1215.")),
        "weekday_of_seven": ("low", _("1 is Monday, 7 is Sunday.")),
        "begins_somewhere": ("low", _("Please say where it begins.")),
        "holiday_ends": ("high", _("Please say where it ends.")),
        "route_goes_somewhere": ("origin", _("Please name an airport at one end at least.")),
        "at_most_positive": ("at_most", _("At least one.")),
        "most_sensible": ("most", _("From 1 to 9.")),
        "letter_is_one": ("letter", _("One letter, please.")),
        "assistance_is_never_priced": ("amount_minor", _("Assistance is always free.")),
        "demand_believable": ("booking_days", _("At least one day, please.")),
        "rate_positive": ("millionths_per_usd", _("More than nothing, please.")),
        "pk_exchange_rates": ("valid_from", _("There is a rate from that day already.")),
        "pk_fare_brands": (first, _("There is a version of this from that day already.")),
        "pk_fare_classes": (first, _("There is a version of this from that day already.")),
        "fare_brands_one_a_day": (first, _("Another version of this holds on some of these days.")),
        "fare_classes_one_a_day": (first, _("Another version of this holds on some of these days.")),
        "fare_classes_one_place_a_day": ("letter", _("Another class has this place on some of these days.")),
    }


def end(session: Session, kind: Table, number: str, last: date, *, actor_id: UUID) -> Base:
    """Let a row hold up to `last`, included. Raises Invalid where it begins later or the table has no last days."""
    row: Any = find(session, kind, number, lock=True)
    before = values_of(row)
    if not hasattr(row, "valid_to") or last < row.valid_from:
        raise Invalid(errors=[FieldError("valid_to", _("It cannot end before it begins."))])
    row.valid_to = last
    _flush(session, kind)
    _require_brands(session, kind, last)
    _note(session, kind, "price.ended", row, before, actor_id)
    forget_books()
    found: Base = row
    return found


def _note(
    session: Session, kind: Table, deed: str, row: Base, before: Mapping[str, Any] | None, actor_id: UUID
) -> None:
    told = [
        None if one is None else {name: _plain(value) for name, value in one.items()}
        for one in (before, values_of(row))
    ]
    audit.record(session, deed, f"price.{kind.name}", row_id(row), actor_id=actor_id, before=told[0], after=told[1])


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, date | datetime) else value


def preview(
    session: Session, kind: Table, number: str | None, values: Mapping[str, Any], *, actor_id: UUID, today: date
) -> list[Sample]:
    """Return what trips that the change concerns cost before and after it; nothing of it is kept. Raises as `save`."""
    before = _figures(session, kind, number, values, today)
    trial = session.begin_nested()
    try:
        made = save(session, kind, number, values, actor_id=actor_id)
        after = _figures(session, kind, row_id(made), values, today)
    finally:
        trial.rollback()
        session.expire_all()
        forget_books()
    pairs = zip(before, after, strict=True)
    return [Sample(words, was, now or 0, currency) for (words, was, currency), (_w, now, _c) in pairs]


def _figures(session: Session, kind: Table, number: str | None, values: Mapping[str, Any], today: date) -> list[Figure]:
    if kind.engine:
        return queries.prices(session, kind, values, today=today)
    if kind.name == "rates":
        return [_hundred_dollars(session, number, values)]
    row = values_of(find(session, kind, number)) if number is not None else {"amount_minor": 0}
    return [(kind.words(values)[0], row["amount_minor"], str(values["currency"]))]


def _hundred_dollars(session: Session, number: str | None, values: Mapping[str, Any]) -> Figure:
    row: Any = find(session, queries.table("rates"), number) if number is not None else None
    whole = 100 * (row.millionths_per_usd if row else 0) * 10 ** money.digits(values["currency"])
    return _("One hundred US dollars"), whole // 1_000_000, values["currency"]


def _locked(session: Session, code: str) -> Promotion:
    found = select(Promotion).where(Promotion.code == code.upper()).with_for_update()
    row = session.scalar(found.execution_options(populate_existing=True))
    if row is None:
        raise UnknownPromotion()
    return row


def create_promotion(session: Session, wish: PromotionWish, *, actor_id: UUID) -> PromotionView:
    """Keep a new promotion. Raises CodeTaken, or Invalid at an amount that is none."""
    if promotions.look(session, wish.code) is not None:
        raise CodeTaken(_("Please choose another code: %(code)s was used before.") % {"code": wish.code})
    row = Promotion(
        code=wish.code, kind=wish.kind, currency=wish.currency, amount=_worth(wish), label=wish.label, minimum_minor=0
    )
    _put(row, {name: getattr(wish, name) for name in PromotionPatch.model_fields if name in type(wish).model_fields})
    session.add(row)
    session.flush()
    return _told(session, row, "promotion.created", None, actor_id)


def _worth(wish: PromotionWish) -> int:
    if wish.kind == "amount":
        return _minor("amount", wish.amount, wish.currency, least=1)
    worth = money.parse(wish.amount, "USD").minor if re.fullmatch(r"\d+(\.\d{1,2})?", wish.amount) else 0
    if not 0 < worth <= 10_000:
        raise Invalid(errors=[FieldError("amount", _("More than nothing and at most 100 per cent."))])
    return worth


def _minor(field: str, typed: str, currency: str, *, least: int = 0) -> int:
    try:
        minor = money.parse(typed, currency).minor
    except ValueError:
        words = _("Please give an amount in %(currency)s.") % {"currency": currency}
        raise Invalid(errors=[FieldError(field, words)]) from None
    if not least <= minor <= 2_000_000_000:
        raise Invalid(errors=[FieldError(field, _("Please give an amount that is possible."))])
    return minor


def change_promotion(
    session: Session, code: str, changes: Mapping[str, Any], *, ended: bool, actor_id: UUID
) -> PromotionView:
    """Change some limits of a promotion, or end it at once. Raises UnknownPromotion, Invalid (fewer uses than used).

    What it is worth never changes: who took it was promised that.
    """
    row = _locked(session, code)
    before = _limits(row)
    _put(row, changes)
    if row.total_uses is not None and row.total_uses < row.used:
        words = _("It has been used %(used)s times already.") % {"used": row.used}
        raise Invalid(errors=[FieldError("totalUses", words)])
    if row.sale_to is not None and row.sale_to <= row.sale_from:
        raise Invalid(errors=[FieldError("saleTo", _("The sale ends before it begins."))])
    if row.travel_from and row.travel_to and row.travel_to < row.travel_from:
        raise Invalid(errors=[FieldError("travelTo", _("The last day of travel is before the first."))])
    if ended and row.ended_at is None:
        row.ended_at = func.now()
    session.flush()
    return _told(session, row, "promotion.ended" if ended else "promotion.changed", before, actor_id)


def _put(row: Promotion, changes: Mapping[str, Any]) -> None:
    for name, value in changes.items():
        if name == "minimum":
            row.minimum_minor = _minor(name, value, row.currency) if value else 0
        elif name == "cap":
            row.cap_minor = _minor(name, value, row.currency, least=1) if value else None
        elif name == "sale_from":
            row.sale_from = _midnight(value) if value else row.sale_from
        elif name == "label":
            row.label = value or row.label
        elif name == "sale_to":
            row.sale_to = _midnight(value + ONE_DAY) if value else None
        elif name in ("routes", "brands", "cabins"):
            setattr(row, name, list(value) if value else None)
        else:
            setattr(row, name, value)


def _midnight(on: date) -> datetime:
    return datetime.combine(on, time(), UTC)


def _limits(row: Promotion) -> dict[str, Any]:
    return {name: _plain(value) for name, value in values_of(row).items() if name not in ("id", "created_at")}


def _told(session: Session, row: Promotion, deed: str, before: dict[str, Any] | None, actor_id: UUID) -> PromotionView:
    session.refresh(row)
    audit.record(session, deed, "promotion", row.code, actor_id=actor_id, before=before, after=_limits(row))
    session.flush()
    found = promotions.look(session, row.code)
    assert found is not None, "it was written in this very transaction"
    return found
