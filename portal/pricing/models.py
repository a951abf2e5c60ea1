"""Brands, cabins' factors, taxes and exchange rates: rows with validity and source, never constants."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ARRAY, BigInteger, CheckConstraint, Identity, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

TERMS = ("allowed", "penalty", "no")
TAX_KINDS = ("percent", "per_passenger", "per_segment")


class FareBrand(Base):
    """A brand in a cabin: what it costs against the flight's base fare (in basis points) and what it includes.

    Penalties are in US cents; a fare in another currency shows and charges them converted.
    """

    __tablename__ = "fare_brands"
    __table_args__ = (
        CheckConstraint("factor_bp > 0", name="factor_positive"),
        CheckConstraint(f"refund in {TERMS} and change in {TERMS} and seat in {TERMS}", name="terms_known"),
        CheckConstraint("refund_penalty_minor >= 0 and change_penalty_minor >= 0", name="penalties_not_negative"),
    )

    cabin: Mapped[str] = mapped_column(primary_key=True)
    brand: Mapped[str] = mapped_column(primary_key=True)
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
