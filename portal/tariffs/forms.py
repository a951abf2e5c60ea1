"""What staff type about prices and promotions, and what programs are answered. Each wrong field has its sentence."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, StringConstraints, model_validator
from pydantic import Field as Given

from portal.kit import money
from portal.kit.errors import FieldError, Invalid
from portal.kit.i18n import gettext as _
from portal.kit.validation import Wire
from portal.pricing.promotions import PromotionView
from portal.tariffs.rules import Field, Table

HIGHEST = 1_000_000_000
HIGHEST_RATE = 1_000_000_000_000


def parse_row(table: Table, given: Mapping[str, Any], fixed: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row's values from a form; `fixed` fields of an earlier version win. Raises Invalid, field by field."""
    values: dict[str, Any] = {}
    wrong: list[FieldError] = []
    for field in sorted(table.fields, key=lambda one: one.kind in ("worth", "money")):
        try:
            values[field.name] = fixed[field.name] if field.name in fixed else _read(field, given, values)
        except ValueError as no:
            wrong.append(FieldError(field.name, str(no)))
    if wrong:
        raise Invalid(errors=wrong)
    return values


def _read(field: Field, given: Mapping[str, Any], values: Mapping[str, Any]) -> Any:
    typed = given.get(field.name, "")
    if field.kind == "yes":
        return bool(typed)
    if field.kind == "many":
        chosen = [one for one in typed if one in field.choices]
        return chosen or (None if field.optional else [])
    text = str(typed).strip()
    if not text and field.kind == "either":
        return None
    if not text:
        if field.optional:
            return "" if field.kind == "words" else None
        raise ValueError(_("Please fill this in."))
    return _value(field, text, values)


def _value(field: Field, text: str, values: Mapping[str, Any]) -> Any:
    if field.kind == "worth":
        kind = "percent" if values.get("kind") == "percent" else "money"
        return _number(text, 2) if kind == "percent" else _money(text, values)
    if field.kind == "money":
        return _money(text, values)
    if field.kind in ("percent", "rate"):
        return _number(text, 2) if field.kind == "percent" else _number(text, 6, HIGHEST_RATE)
    if field.kind == "whole":
        return _number(text, 0)
    if field.kind == "either":
        return {"yes": True, "no": False}.get(text)
    if field.kind == "choice":
        if text not in field.choices:
            raise ValueError(_("Please choose one of the list."))
        return text
    return _text(field, text)


def _text(field: Field, text: str) -> Any:
    if field.kind == "codes":
        return [one for one in re.split(r"[\s,]+", text.upper()) if one]
    if field.kind == "code":
        if not re.fullmatch(r"[A-Za-z]{3}", text):
            raise ValueError(_("Please give a code of three letters."))
        return text.upper()
    if len(text) > 200:
        raise ValueError(_("This is too long."))
    return text


def _number(text: str, decimals: int, highest: int = HIGHEST) -> int:
    try:
        scaled = Decimal(text).scaleb(decimals)
    except InvalidOperation:
        raise ValueError(_("Please give a number.")) from None
    if not scaled.is_finite() or not 0 <= scaled <= highest:
        raise ValueError(_("Please give a number that is possible."))
    if scaled != scaled.to_integral_value():
        raise ValueError(_("Please give a number with fewer decimals."))
    return int(scaled)


def _money(text: str, values: Mapping[str, Any]) -> int:
    currency = str(values.get("currency") or "USD")
    try:
        minor = money.typed(text, currency).minor
    except ValueError:
        raise ValueError(_("Please give an amount in %(currency)s.") % {"currency": currency}) from None
    if not 0 <= minor <= HIGHEST:
        raise ValueError(_("Please give an amount that is possible."))
    return minor


def parse_day(given: Mapping[str, Any], name: str, *, after: date, optional: bool = False) -> date | None:
    """Return the day in a field, which must be `after` or later; raises Invalid."""
    text = str(given.get(name, "")).strip()
    if not text and optional:
        return None
    try:
        typed = date.fromisoformat(text)
    except ValueError:
        raise Invalid(errors=[FieldError(name, _("Please give a date, such as 2027-03-01."))]) from None
    if not after <= typed <= date(2100, 1, 1):
        words = _("Please give a day from %(day)s on.") % {"day": after.isoformat()}
        raise Invalid(errors=[FieldError(name, words)])
    return typed


def _codes(given: Any) -> Any:
    """Take `JFK-LAX, LAX-JFK` as a list."""
    if isinstance(given, str):
        return [one for one in re.split(r"[\s,;]+", given.upper()) if one] or None
    return given or None


def _promotion_code(typed: str) -> str:
    code = typed.upper()
    if not re.fullmatch(r"[A-Z0-9][A-Z0-9-]{2,19}", code):
        raise ValueError(_("3 to 20 letters, digits or dashes, please."))
    return code


def _route(typed: str) -> str:
    if not re.fullmatch(r"[A-Z]{3}-[A-Z]{3}", typed):
        raise ValueError(_("Please write routes as JFK-LAX."))
    return typed


Routes = Annotated[tuple[Annotated[str, AfterValidator(_route)], ...] | None, BeforeValidator(_codes)]
Cabin = Literal["economy", "premium", "business", "first"]
Uses = Annotated[int, Given(ge=1, le=10_000_000)]
Amount = Annotated[str, StringConstraints(pattern=r"^\d{1,9}(\.\d{1,4})?$")]


class Limits(Wire):
    """What may be edited while a promotion runs; days of sale are whole ones in UTC, `saleTo` included."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    minimum: Amount | None = None
    cap: Amount | None = None
    sale_from: date
    sale_to: date | None = None
    travel_from: date | None = None
    travel_to: date | None = None
    routes: Routes = None
    brands: Annotated[tuple[str, ...] | None, BeforeValidator(lambda given: given or None)] = None
    cabins: Annotated[tuple[Cabin, ...] | None, BeforeValidator(lambda given: given or None)] = None
    total_uses: Uses | None = None
    per_customer: Uses | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        if self.sale_to and self.sale_to < self.sale_from:
            raise ValueError(_("The sale ends before it begins."))
        if self.travel_from and self.travel_to and self.travel_to < self.travel_from:
            raise ValueError(_("The last day of travel is before the first."))
        return self


class PromotionWish(Limits):
    """A new promotion: `amount` in per cent, or in `currency`."""

    code: Annotated[str, AfterValidator(_promotion_code)] = Given(examples=["SUMMER10"])
    kind: Literal["percent", "amount"]
    amount: Amount = Given(examples=["10.00"])
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] = "USD"


class PromotionPatch(Wire):
    """Some limits of a promotion, or its end; what is left out stays as it is."""

    label: Annotated[str, StringConstraints(min_length=1, max_length=100)] | None = None
    minimum: Amount | None = None
    cap: Amount | None = None
    sale_from: date | None = None
    sale_to: date | None = None
    travel_from: date | None = None
    travel_to: date | None = None
    routes: Routes = None
    brands: tuple[str, ...] | None = None
    cabins: tuple[Cabin, ...] | None = None
    total_uses: Uses | None = Given(None, examples=[500])
    per_customer: Uses | None = None
    ended: Literal[True] | None = Given(None, description="true ends it at once, for good")


class PromotionOut(Limits):
    """A promotion as programs read it."""

    code: str
    kind: Literal["percent", "amount"]
    amount: str
    currency: str
    state: Literal["early", "open", "over", "ended"]
    used: int
    ended_at: datetime | None


class PromotionsOut(Wire):
    """All promotions, those on sale first."""

    data: tuple[PromotionOut, ...]


def out(one: PromotionView) -> PromotionOut:
    """Return a promotion as programs read it."""
    kept = ("label", "travel_from", "travel_to", "routes", "brands", "cabins", "total_uses", "per_customer")
    same = ("code", "kind", "currency", "used", "ended_at")
    percent = f"{Decimal(one.amount).scaleb(-2).normalize():f}"
    return PromotionOut.model_validate(
        {
            **{name: getattr(one, name) for name in (*kept, *same)},
            "amount": percent if one.kind == "percent" else money.decimal_text(one.amount, one.currency),
            "minimum": money.decimal_text(one.minimum_minor, one.currency) if one.minimum_minor else None,
            "cap": money.decimal_text(one.cap_minor, one.currency) if one.cap_minor else None,
            "sale_from": one.sale_from.date(),
            "sale_to": (one.sale_to - timedelta(days=1)).date() if one.sale_to else None,
            "state": one.sale,
        }
    )
