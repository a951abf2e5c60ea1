"""Brands, cabins' factors and taxes: rows with validity and source, never constants."""

from __future__ import annotations

from datetime import date

from sqlalchemy import CheckConstraint, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

TERMS = ("allowed", "penalty", "no")
TAX_KINDS = ("percent", "per_passenger", "per_segment")


class FareBrand(Base):
    """A brand in a cabin: what it costs against the flight's base fare (in basis points) and what it includes."""

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

    `origin_country` and `destination_country` narrow it; null means any. `domestic` true/false/null likewise.
    `amount` is in basis points for kind percent, in minor units of `currency` otherwise.
    """

    __tablename__ = "taxes"
    __table_args__ = (
        CheckConstraint(f"kind in {TAX_KINDS}", name="kind_known"),
        CheckConstraint("amount >= 0", name="amount_not_negative"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        Index("ix_taxes_code", "code"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str]
    label: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    origin_country: Mapped[str | None] = mapped_column(String(2))
    destination_country: Mapped[str | None] = mapped_column(String(2))
    domestic: Mapped[bool | None]
    infants_pay: Mapped[bool] = mapped_column(server_default="false")
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]
