"""Promotions: a code that takes per cent or an amount off the fares, within its limits, counted right under a rush.

A promotion is used by a *holder*, the same id that holds the seats. Its count goes up with ONE conditional UPDATE, so
the last use is had once, however many ask for it at the same moment. A use whose holder has no live claim on seats any
more is free again, swept or not: the database's clock decides. Locks: the promotion's row, then its uses; both before
seats are.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, CheckConstraint, ForeignKey, Identity, Index, String, func, literal_column, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Mapped, Session, mapped_column

from portal.kit.i18n import gettext as _
from portal.kit.model import Base
from portal.pricing.discounts import Discount, PaidFare, PromotedSlice, PromotionView, discounts
from portal.pricing.errors import PromotionRefused
from portal.pricing.service import load_book

__all__ = ["Discount", "PaidFare", "PromotedSlice", "PromotionView"]

KINDS = ("percent", "amount")
USE_STATES = ("held", "used", "returned")
DEMO_DEFAULTS: dict[str, Any] = {
    "currency": "USD",
    "minimum_minor": 0,
    "cap_minor": None,
    "routes": None,
    "brands": None,
    "total_uses": None,
    "per_customer": None,
}
DEMO: tuple[dict[str, Any], ...] = (
    {
        "code": "WELCOME10",
        "label": "Welcome aboard: 10 % off the first trip",
        "kind": "percent",
        "amount": 1_000,
        "cap_minor": 10_000,
        "per_customer": 1,
    },
    {
        "code": "COAST25",
        "label": "$25 off from coast to coast, for the first 500",
        "kind": "amount",
        "amount": 2_500,
        "minimum_minor": 15_000,
        "routes": ["JFK-LAX", "LAX-JFK"],
        "total_uses": 500,
        "per_customer": 2,
    },
    {
        "code": "FLEX15",
        "label": "15 % off every Flex fare",
        "kind": "percent",
        "amount": 1_500,
        "brands": ["Flex"],
    },
)


class Promotion(Base):
    """A code and what it is worth: `amount` is in basis points of the fares for kind percent, else in minor units.

    `currency` is that of the amount, of the minimum (of all fares before taxes) and of the cap; other currencies are
    converted. It is on sale from `sale_from` until `sale_to` (instants); every flight it takes something off leaves
    within `travel_from`–`travel_to` (local days). Routes are `JFK-LAX`; null means any. `used` counts held and used.
    """

    __tablename__ = "promotions"
    __table_args__ = (
        CheckConstraint(f"kind in {KINDS}", name="kind_known"),
        CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9-]{2,19}$'", name="code_readable"),
        CheckConstraint("amount > 0 and (kind <> 'percent' or amount <= 10000)", name="amount_sensible"),
        CheckConstraint("minimum_minor >= 0 and cap_minor > 0", name="limits_sensible"),
        CheckConstraint("sale_to is null or sale_to > sale_from", name="sale_in_order"),
        CheckConstraint("travel_to is null or travel_from is null or travel_to >= travel_from", name="travel_in_order"),
        CheckConstraint("total_uses > 0 and per_customer > 0", name="uses_positive"),
        CheckConstraint("used >= 0 and (total_uses is null or used <= total_uses)", name="never_overused"),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    code: Mapped[str] = mapped_column(String(20), unique=True)
    label: Mapped[str]
    kind: Mapped[str]
    amount: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    minimum_minor: Mapped[int] = mapped_column(server_default="0")
    cap_minor: Mapped[int | None]
    sale_from: Mapped[datetime] = mapped_column(server_default=func.now())
    sale_to: Mapped[datetime | None]
    travel_from: Mapped[date | None]
    travel_to: Mapped[date | None]
    routes: Mapped[list[str] | None] = mapped_column(ARRAY(String(7)))
    brands: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    cabins: Mapped[list[str] | None] = mapped_column(ARRAY(String))
    total_uses: Mapped[int | None]
    per_customer: Mapped[int | None]
    used: Mapped[int] = mapped_column(server_default="0")
    ended_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class PromotionUse(Base):
    """One use by a holder; `customer` is an account's id or an e-mail in lower case.

    `slot` numbers that customer's uses: that it is unique is the last wall before a customer's limit.
    Nobody is named while `customer` is null.
    """

    __tablename__ = "promotion_uses"
    __table_args__ = (
        CheckConstraint(f"state in {USE_STATES}", name="state_known"),
        CheckConstraint("amount_minor >= 0 and slot > 0", name="amounts_sensible"),
        Index("uq_promotion_uses_holder", "holder", unique=True, postgresql_where=text("state <> 'returned'")),
        Index(
            "uq_promotion_uses_slot",
            "promotion_id",
            "customer",
            "slot",
            unique=True,
            postgresql_where=text("state <> 'returned' and customer is not null"),
        ),
        Index("ix_promotion_uses_holder", "holder"),
        Index("ix_promotion_uses_held", "promotion_id", postgresql_where=text("state = 'held'")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    promotion_id: Mapped[int] = mapped_column(ForeignKey("promotions.id"))
    holder: Mapped[UUID]
    customer: Mapped[str | None]
    slot: Mapped[int] = mapped_column(server_default="1")
    state: Mapped[str] = mapped_column(server_default="held")
    amount_minor: Mapped[int]
    currency: Mapped[str] = mapped_column(String(3))
    taken_at: Mapped[datetime] = mapped_column(server_default=func.now())
    ended_at: Mapped[datetime | None]


SALE = """case when ended_at is not null then 'ended' when sale_from > now() then 'early'
    when sale_to <= now() then 'over' else 'open' end"""
OPEN = "ended_at is null and sale_from <= now() and (sale_to is null or now() < sale_to)"
COUNT = text(
    f"""
    update promotions set used = used + 1
    where id = :id and {OPEN} and (total_uses is null or used < total_uses) returning id
    """  # noqa: S608 – OPEN is a constant of this file
)
LOCK = text("select id from promotions where id = :id for update")
# A statement of its own after the lock, so that it sees what the one before us did.
RECLAIM = text(
    """
    with gone as (
        update promotion_uses u set state = 'returned', ended_at = now()
        where u.id in (
            select s.id from promotion_uses s where s.promotion_id = :id and s.state = 'held' and s.holder <> :holder
            and not exists (
                select 1 from seat_claims c where c.holder = s.holder and (c.expires_at is null or c.expires_at > now())
            ) for update skip locked
        ) returning u.id
    )
    update promotions set used = used - (select count(*) from gone) where id = :id and exists (select 1 from gone)
    """
)
FREE_SLOT = text(
    """
    select min(n) from generate_series(1, cast(:most as int)) n where not exists (
        select 1 from promotion_uses u where u.promotion_id = :id and u.customer = :customer and u.slot = n
        and u.state <> 'returned' and u.holder <> :holder
    )
    """
)
NEXT_SLOT = text(
    "select coalesce(max(slot), 0) + 1 from promotion_uses where promotion_id = :id and customer = :customer"
)
IDENTIFY = text(
    "update promotion_uses set customer = :customer, slot = :slot where holder = :holder and state <> 'returned'"
)
RETURN = text(
    """
    with gone as (
        update promotion_uses set state = 'returned', ended_at = now()
        where holder = :holder and state <> 'returned' returning promotion_id
    )
    update promotions set used = used - 1 where id in (select promotion_id from gone)
    """
)
CONFIRM = text(
    "update promotion_uses set state = 'used' where holder = :holder and state in ('held', 'used') returning id"
)
LAST_OF = text("select * from promotion_uses where holder = :holder order by id desc limit 1")
ACTIVE_OF = text(
    """
    select p.id, p.per_customer, u.customer from promotion_uses u join promotions p on p.id = u.promotion_id
    where u.holder = :holder and u.state <> 'returned'
    """
)
RETAKE = text("update promotion_uses set state = 'used', slot = :slot, ended_at = null where id = :use")


def look(session: Session, code: str) -> PromotionView | None:
    """Return the promotion of this code in any case, or None; whether its sale is on it says itself."""
    row = session.execute(_shown().where(Promotion.code == code.strip().upper())).one_or_none()
    return _view(row) if row else None


def all_promotions(session: Session) -> list[PromotionView]:
    """Return every promotion, those on sale first, then by code."""
    rows = session.execute(_shown().order_by(text(f"not ({OPEN})"), Promotion.code))
    return [_view(row) for row in rows]


def _shown() -> Any:
    return select(*Promotion.__table__.columns, literal_column(SALE).label("sale"))


def _view(row: Any) -> PromotionView:
    values = {name: getattr(row, name) for name in PromotionView.__dataclass_fields__}
    lists = {name: None if values[name] is None else tuple(values[name]) for name in ("routes", "brands", "cabins")}
    return PromotionView(**{**values, **lists})


def quote(
    session: Session, *, code: str, slices: Sequence[PromotedSlice], fares: Sequence[PaidFare], currency: str
) -> list[Discount]:
    """Return what the code would take off, and count nothing. Raises PromotionRefused with the reason."""
    return discounts(_known(session, code), slices, fares, currency, load_book(session))


def take(
    session: Session,
    *,
    code: str,
    holder: UUID,
    customer: str | None,
    slices: Sequence[PromotedSlice],
    fares: Sequence[PaidFare],
    currency: str,
) -> list[Discount]:
    """Use the code for `holder` and return what comes off each fare: one promotion a holder, before seats are taken.

    `customer` is an account's id or an e-mail in lower case; None while nobody is named yet: `identify` follows then.
    The use lives as long as the holder's claims on seats. Raises PromotionRefused; the transaction must be rolled back.
    """
    promotion = _known(session, code)
    found = discounts(promotion, slices, fares, currency, load_book(session))
    _count(session, promotion, holder)
    slot = _slot(session, promotion.id, promotion.per_customer, customer, holder)
    off = -sum(one.line.amount_minor for one in found)
    values = {"promotion_id": promotion.id, "holder": holder, "customer": customer, "slot": slot}
    session.execute(insert(PromotionUse).values(**values, amount_minor=off, currency=currency))
    return found


def _known(session: Session, code: str) -> PromotionView:
    promotion = look(session, code)
    if promotion is None:
        raise PromotionRefused(_("We do not know the code %(code)s.") % {"code": code.strip()[:20]})
    if promotion.sale == "early":
        raise PromotionRefused(_("This code cannot be used yet."))
    if promotion.sale != "open":
        raise PromotionRefused(_("This code can no longer be used."))
    return promotion


def _count(session: Session, promotion: PromotionView, holder: UUID) -> None:
    values = {"id": promotion.id, "holder": holder}
    if session.scalar(COUNT, values) is not None:
        return
    reclaim(session, promotion.id, holder=holder)
    if session.scalar(COUNT, values) is None:
        raise PromotionRefused(_("This code has been used up."))


def reclaim(session: Session, promotion_id: int, *, holder: UUID | None = None) -> None:
    """Give back the uses of a promotion whose holders have no live seats any more, those of `holder` apart."""
    session.execute(LOCK, {"id": promotion_id})
    session.execute(RECLAIM, {"id": promotion_id, "holder": holder or UUID(int=0)})


def _slot(session: Session, promotion_id: int, most: int | None, customer: str | None, holder: UUID) -> int:
    """Return the number of this use among the customer's; the promotion's row is locked, so nobody comes between."""
    values = {"id": promotion_id, "customer": customer, "most": most, "holder": holder}
    if customer is None:
        return 1
    if most is None:
        return int(session.scalar(NEXT_SLOT, values) or 1)
    slot = session.scalar(FREE_SLOT, values)
    if slot is None:
        reclaim(session, promotion_id, holder=holder)
        slot = session.scalar(FREE_SLOT, values)
    if slot is None:
        raise PromotionRefused(_("You have used this code already."))
    return int(slot)


def identify(session: Session, *, holder: UUID, customer: str) -> None:
    """Say who uses the holder's promotion, once that is known; no promotion, nothing happens.

    Raises PromotionRefused when this customer has no use left.
    """
    use = session.execute(ACTIVE_OF, {"holder": holder}).one_or_none()
    if use is None or use.customer == customer:
        return
    session.execute(LOCK, {"id": use.id})
    slot = _slot(session, use.id, use.per_customer, customer, holder)
    session.execute(IDENTIFY, {"holder": holder, "customer": customer, "slot": slot})


def lock(session: Session, *, holder: UUID) -> bool:
    """Lock the promotion that the holder uses, and return whether there is one.

    Who gives it back after locking seats calls this before them.
    """
    use = session.execute(ACTIVE_OF, {"holder": holder}).one_or_none()
    if use is not None:
        session.execute(LOCK, {"id": use.id})
    return use is not None


def release(session: Session, *, holder: UUID) -> None:
    """Give the holder's use back, held or used; nothing happens when there is none. Call it before seats go back."""
    if lock(session, holder=holder):
        session.execute(RETURN, {"holder": holder})


def confirm(session: Session, *, holder: UUID) -> None:
    """Turn the holder's held use into a used one; a second call, or a holder without any, changes nothing.

    A lapsed use that nobody has retaken is used all the same. Raises PromotionRefused where the last one is gone: the
    booking was not paid in time, like one whose seats are gone. Call it before seats are sold.
    """
    use = session.execute(LAST_OF, {"holder": holder}).one_or_none()
    if use is None or session.scalar(CONFIRM, {"holder": holder}) is not None:
        return
    kept = _view(session.execute(_shown().where(Promotion.id == use.promotion_id)).one())
    _count(session, kept, holder)
    slot = _slot(session, kept.id, kept.per_customer, use.customer, holder)
    session.execute(RETAKE, {"use": use.id, "slot": slot})


def ensure_demo(session: Session) -> int:
    """Put the demo's promotions in place where they are missing; returns how many were added."""
    rows = [{**DEMO_DEFAULTS, **row} for row in DEMO]
    return len(session.execute(insert(Promotion).values(rows).on_conflict_do_nothing().returning(Promotion.id)).all())
