"""Brands, fare rules, booking classes, taxes and exchange rates: rows with validity and source, never constants."""

from __future__ import annotations

from datetime import date
from typing import Any

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, ColumnElement, Identity, String, literal_column
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

TERMS = ("allowed", "penalty", "no")
TAX_KINDS = ("percent", "per_passenger", "per_segment")
RULE_KINDS = ("route", "season", "holiday", "weekday", "advance", "load")
CABINS = ("economy", "premium", "business", "first")
FIRST_DAY = "2026-01-01"


def one_a_day(name: str, *columns: str) -> ExcludeConstraint:
    """Return the rule that no two rows with the same `columns` hold on one day; needs PostgreSQL's btree_gist."""
    days: ColumnElement[Any] = literal_column("daterange(valid_from, valid_to, '[]')")
    return ExcludeConstraint(*((column, "=") for column in columns), (days, "&&"), name=name, using="gist")


class FareBrand(Base):
    """A brand in a cabin: what it costs against the flight's base fare (in basis points) and what it includes.

    Penalties are in US cents; a fare in another currency shows and charges them converted. Sales from `valid_from` to
    `valid_to` follow the row; of a brand in a cabin, one row holds on a day.
    """

    __tablename__ = "fare_brands"
    __table_args__ = (
        CheckConstraint("factor_bp > 0", name="factor_positive"),
        CheckConstraint(f"refund in {TERMS} and change in {TERMS} and seat in {TERMS}", name="terms_known"),
        CheckConstraint("refund_penalty_minor >= 0 and change_penalty_minor >= 0", name="penalties_not_negative"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        one_a_day("fare_brands_one_a_day", "cabin", "brand"),
    )

    cabin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str] = mapped_column(primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True, server_default=FIRST_DAY)
    valid_to: Mapped[date | None]
    position: Mapped[int]
    booking_class: Mapped[str] = mapped_column(String(1))
    factor_bp: Mapped[int]
    cabin_bag: Mapped[bool]
    checked_bags: Mapped[int]
    seat: Mapped[str]
    refund: Mapped[str]
    refund_penalty_minor: Mapped[int]
    change: Mapped[str]
    change_penalty_minor: Mapped[int]


class FareRuleRow(Base):
    """One step from a flight's base fare to its fare: a factor in basis points, and what it holds for.

    `low` and `high` bound it, both included, and null is open: season by month and day (1215 to 106 goes round the
    year), holiday by day of departure (20271222), weekday by ISO number (1 is Monday), advance by days to departure,
    load by basis points of the cabin sold (only `low`), route not at all. `origin`, `destination` and `cabin` narrow
    it; load rules are for whole cabins only. Sales from `valid_from` to `valid_to` follow it. `code` goes into the
    fare basis. `key` names the row for good, so that loading the reference rows again changes nothing.
    """

    __tablename__ = "fare_rules"
    __table_args__ = (
        CheckConstraint(f"kind in {RULE_KINDS}", name="kind_known"),
        CheckConstraint("factor_bp between 1000 and 100000", name="factor_believable"),
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("code ~ '^[A-Z0-9]{0,2}$'", name="code_short"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        CheckConstraint("kind = 'season' or high is null or high >= low", name="bounds_in_order"),
        CheckConstraint(
            "kind <> 'load' or (high is null and origin is null and destination is null and low between 0 and 10000)",
            name="load_for_cabins",
        ),
        CheckConstraint(
            "kind <> 'season' or (low between 101 and 1231 and high between 101 and 1231)", name="season_of_the_year"
        ),
        CheckConstraint("kind <> 'weekday' or (low between 1 and 7 and high between 1 and 7)", name="weekday_of_seven"),
        CheckConstraint("kind = 'route' or low is not null", name="begins_somewhere"),
        CheckConstraint("kind not in ('season', 'holiday', 'weekday') or high is not null", name="ends_somewhere"),
        CheckConstraint("kind <> 'route' or num_nonnulls(origin, destination) > 0", name="route_goes_somewhere"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    kind: Mapped[str]
    label: Mapped[str]
    code: Mapped[str] = mapped_column(String(2), server_default="")
    factor_bp: Mapped[int]
    low: Mapped[int | None]
    high: Mapped[int | None]
    origin: Mapped[str | None] = mapped_column(String(3))
    destination: Mapped[str | None] = mapped_column(String(3))
    cabin: Mapped[str | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]


class FareClassRow(Base):
    """A booking class of a cabin: one letter, nested in the dearer ones, and how its demand comes in.

    `demand_bp` of a cabin's seats are wanted in this class on a usual flight, give or take `sigma_bp`, evenly over the
    last `booking_days` before departure. They stand in until a route has a history of its own. Sales from `valid_from`
    to `valid_to` follow the row; of a letter, and of a place in the nest, one row holds on a day.
    """

    __tablename__ = "fare_classes"
    __table_args__ = (
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint("letter ~ '^[A-Z]$'", name="letter_is_one"),
        CheckConstraint("factor_bp between 1000 and 100000", name="factor_believable"),
        CheckConstraint("demand_bp >= 0 and sigma_bp >= 0 and booking_days > 0", name="demand_believable"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        one_a_day("fare_classes_one_a_day", "cabin", "letter"),
        one_a_day("fare_classes_one_place_a_day", "cabin", "position"),
    )

    cabin: Mapped[str] = mapped_column(primary_key=True)
    letter: Mapped[str] = mapped_column(String(1), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True, server_default=FIRST_DAY)
    valid_to: Mapped[date | None]
    position: Mapped[int]
    factor_bp: Mapped[int]
    demand_bp: Mapped[int]
    sigma_bp: Mapped[int]
    booking_days: Mapped[int]


class Tax(Base):
    """A tax or fee by code, with its legal source and the days of departure on which it holds.

    `origins` and `destinations` narrow it to countries; null means any, and `elsewhere` turns `destinations` into the
    countries where it does not hold. `domestic` and `economy` are true, false or null for both. `amount` is in basis
    points of the fare for kind percent, in minor units of `currency` otherwise; `at_most` caps how many segments of
    one direction pay it. `key` names the row for good, so that loading the reference rows again changes nothing.
    """

    __tablename__ = "taxes"
    __table_args__ = (
        CheckConstraint(f"kind in {TAX_KINDS}", name="kind_known"),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        CheckConstraint("at_most > 0", name="at_most_positive"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    code: Mapped[str]
    label: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    origins: Mapped[list[str] | None] = mapped_column(ARRAY(String(2)))
    destinations: Mapped[list[str] | None] = mapped_column(ARRAY(String(2)))
    elsewhere: Mapped[bool] = mapped_column(server_default="false")
    domestic: Mapped[bool | None]
    economy: Mapped[bool | None]
    children_pay: Mapped[bool] = mapped_column(server_default="true")
    infants_pay: Mapped[bool] = mapped_column(server_default="false")
    at_most: Mapped[int | None]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]


class ExchangeRate(Base):
    """What one US dollar is worth in `currency`, in millionths, from a day on: turns a tax into the fare's currency."""

    __tablename__ = "exchange_rates"
    __table_args__ = (CheckConstraint("millionths_per_usd > 0", name="rate_positive"),)

    currency: Mapped[str] = mapped_column(String(3), primary_key=True)
    valid_from: Mapped[date] = mapped_column(primary_key=True)
    millionths_per_usd: Mapped[int] = mapped_column(BigInteger)
    source: Mapped[str]
