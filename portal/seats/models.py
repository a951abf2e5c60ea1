"""What seats and extras cost: rows with validity and source that staff edit, never constants."""

from __future__ import annotations

from datetime import date

from sqlalchemy import ARRAY, CheckConstraint, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from portal.kit.model import Base

FEATURES = ("any", "window", "middle", "aisle", "front", "legroom", "exit")
EXTRA_KINDS = ("bag", "meal", "priority", "insurance", "assistance")
PER = ("slice", "flight", "trip")
CABINS = ("economy", "premium", "business", "first")


class SeatPrice(Base):
    """What choosing a seat with a feature costs in a cabin, for one passenger and flight; the dearest feature counts.

    It holds for what is sold on the days from `valid_from` to `valid_to`. `key` names the row for good, so that loading
    the reference rows again changes nothing. A currency that has no row of its own is converted from US dollars.
    """

    __tablename__ = "seat_prices"
    __table_args__ = (
        CheckConstraint(f"cabin in {CABINS}", name="cabin_known"),
        CheckConstraint(f"feature in {FEATURES}", name="feature_known"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        Index("ix_seat_prices_cabin", "cabin", "currency"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    cabin: Mapped[str]
    feature: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]


class ExtraProduct(Base):
    """Something that can be had beside the seat, at a price for each unit and traveller.

    `per` says whether it is had for a direction (slice), a flight or the whole trip. `most` is how many a traveller may
    have there; of kind meal a traveller has one per flight, whichever. `cabins` and `travellers` narrow it; null means
    any. It is free where the cabin or the brand is among `included_cabins`, `included_brands`. `hours_before` is until
    when, before departure, it can be ordered. Assistance is free, always, and keeps its traveller from exit rows.
    Validity, `key` and currency as in SeatPrice; `position` is the order on the page.
    """

    __tablename__ = "extra_products"
    __table_args__ = (
        CheckConstraint(f"kind in {EXTRA_KINDS}", name="kind_known"),
        CheckConstraint(f"per in {PER}", name="per_known"),
        CheckConstraint("amount_minor >= 0", name="amount_not_negative"),
        CheckConstraint("kind <> 'assistance' or amount_minor = 0", name="assistance_is_never_priced"),
        CheckConstraint("most between 1 and 9", name="most_sensible"),
        CheckConstraint("hours_before >= 0", name="hours_not_negative"),
        CheckConstraint("valid_to is null or valid_to >= valid_from", name="valid_in_order"),
        Index("ix_extra_products_code", "code", "currency"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(unique=True)
    code: Mapped[str]
    kind: Mapped[str]
    label: Mapped[str]
    detail: Mapped[str]
    per: Mapped[str]
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    most: Mapped[int] = mapped_column(server_default="1")
    cabins: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    travellers: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    included_cabins: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    included_brands: Mapped[list[str]] = mapped_column(ARRAY(String), server_default="{}")
    hours_before: Mapped[int] = mapped_column(server_default="0")
    position: Mapped[int]
    valid_from: Mapped[date]
    valid_to: Mapped[date | None]
    source: Mapped[str]
