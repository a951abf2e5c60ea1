"""A booking, its slices and segments, its passengers, what it costs, its tickets, and what became of it later."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    ForeignKey,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    String,
    UniqueConstraint,
    func,
    text,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from portal.kit.model import Base

STATES = ("held", "confirmed", "cancelled", "expired")
PASSENGER_TYPES = ("adult", "child", "infant")
COUPON_STATES = ("open", "checked_in", "flown", "refunded", "void")
TICKET_STATES = ("open", "exchanged", "refunded", "void")
ITEM_KINDS = ("seat", "bag", "meal", "priority", "insurance", "assistance")
ITEM_STATES = ("active", "cancelled")
AMENDMENT_KINDS = ("items", "change", "cancellation", "correction", "contact", "carrier")
AMENDMENT_STATES = ("quoted", "paying", "done", "lapsed", "withdrawn")
REFUND_WAYS = ("original", "credit")


class Booking(Base):
    """held → confirmed → cancelled, held → expired. `id` is the holder of its seats and the payable of its payments.

    `fingerprint` is of the offers that it was made from: the same key with others is refused.
    """

    __tablename__ = "bookings"
    __table_args__ = (
        CheckConstraint(f"status in {STATES}", name="status_known"),
        CheckConstraint("reference ~ '^[2-9A-HJ-NP-Z]{6}$'", name="reference_readable"),
        CheckConstraint("total_minor >= 0 and paid_minor >= 0", name="money_not_negative"),
        CheckConstraint("status <> 'confirmed' or paid_minor = total_minor", name="confirmed_is_paid"),
        CheckConstraint("(status = 'held') = (expires_at is not null)", name="held_has_deadline"),
        CheckConstraint("extensions between 0 and 10", name="extensions_limited"),
        Index("uq_bookings_idempotency_key", "idempotency_key", unique=True),
        Index("ix_bookings_lapsing", "expires_at", postgresql_where=text("status = 'held'")),
        Index("ix_bookings_user_id_created_at", "user_id", "created_at"),
        Index("ix_bookings_created_at", "created_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    reference: Mapped[str] = mapped_column(String(6), unique=True)
    status: Mapped[str] = mapped_column(server_default="held")
    user_id: Mapped[UUID | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    contact_email: Mapped[str | None]
    contact_phone: Mapped[str | None]
    currency: Mapped[str] = mapped_column(String(3))
    total_minor: Mapped[int]
    paid_minor: Mapped[int] = mapped_column(server_default="0")
    locale: Mapped[str] = mapped_column(server_default="en")
    idempotency_key: Mapped[str]
    fingerprint: Mapped[str]
    extensions: Mapped[int] = mapped_column(server_default="0")
    expires_at: Mapped[datetime | None]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    confirmed_at: Mapped[datetime | None]
    ended_at: Mapped[datetime | None]

    slices: Mapped[list[Slice]] = relationship(order_by="Slice.position", lazy="raise")
    passengers: Mapped[list[Passenger]] = relationship(order_by="Passenger.position", lazy="raise")
    charges: Mapped[list[Charge]] = relationship(order_by="Charge.position", lazy="raise")


class Slice(Base):
    """One direction of a trip, in one cabin and brand; `conditions` is what the brand promised when it was sold.

    `pricing` keeps the steps that led to its price, as the offer told them.
    """

    __tablename__ = "booking_slices"

    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    origin: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    destination: Mapped[str] = mapped_column(ForeignKey("airports.code"))
    cabin: Mapped[str]
    brand: Mapped[str]
    booking_class: Mapped[str] = mapped_column(String(1))
    fare_basis: Mapped[str] = mapped_column(server_default="")
    conditions: Mapped[dict[str, Any]]
    pricing: Mapped[list[Any]] = mapped_column(server_default="[]")
    cancelled_at: Mapped[datetime | None]

    segments: Mapped[list[Segment]] = relationship(order_by="Segment.position", lazy="raise")


class Segment(Base):
    """One flight of a slice."""

    __tablename__ = "booking_segments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["booking_id", "slice_position"],
            ["booking_slices.booking_id", "booking_slices.position"],
            ondelete="CASCADE",
        ),
        UniqueConstraint("booking_id", "flight_id"),
    )

    booking_id: Mapped[UUID] = mapped_column(primary_key=True)
    slice_position: Mapped[int] = mapped_column(primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id"), index=True)


class Passenger(Base):
    """One traveller: the name as typed, and the ticket name A–Z derived from it. Unnamed while the form is open.

    `stays_off` are the positions of the directions that this traveller no longer flies while others of the party do.
    """

    __tablename__ = "passengers"
    __table_args__ = (
        CheckConstraint(f"type in {PASSENGER_TYPES}", name="type_known"),
        UniqueConstraint("booking_id", "position"),
        Index("ix_passengers_family", text("upper(family_name)"), "booking_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    position: Mapped[int]
    type: Mapped[str]
    given_name: Mapped[str | None]
    family_name: Mapped[str | None]
    ticket_name: Mapped[str | None]
    date_of_birth: Mapped[date | None]
    cancelled_at: Mapped[datetime | None]
    stays_off: Mapped[list[int]] = mapped_column(ARRAY(Integer), server_default="{}")


class Amendment(Base):
    """What is done to a booking after it was made: quoted → (paying) → done; or lapsed, or withdrawn.

    `payload` says what will be done, `lines` the charges that it appends: their sum is what is due or goes back.
    While it is paying, its id holds the new flights' seats, and `paid_minor` is what has come in for it so far.
    """

    __tablename__ = "amendments"
    __table_args__ = (
        CheckConstraint(f"kind in {AMENDMENT_KINDS}", name="kind_known"),
        CheckConstraint(f"state in {AMENDMENT_STATES}", name="state_known"),
        CheckConstraint(f"refund_to in {REFUND_WAYS}", name="refund_way_known"),
        CheckConstraint("due_minor >= 0 and refund_minor >= 0 and penalty_minor >= 0", name="money_not_negative"),
        CheckConstraint("due_minor = 0 or refund_minor = 0", name="due_or_back"),
        CheckConstraint("(state = 'done') = (done_at is not null)", name="done_has_instant"),
        CheckConstraint("paid_minor between 0 and due_minor", name="never_overpaid"),
        CheckConstraint("state <> 'done' or paid_minor = due_minor", name="done_is_paid"),
        UniqueConstraint("booking_id", "number"),
        Index("uq_amendments_idempotency_key", "booking_id", "idempotency_key", unique=True),
        Index("uq_amendments_paying", "booking_id", unique=True, postgresql_where=text("state = 'paying'")),
        Index("ix_amendments_over", "expires_at", postgresql_where=text("state in ('lapsed', 'withdrawn')")),
        Index("ix_amendments_lapsing", "expires_at", postgresql_where=text("state in ('quoted', 'paying')")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    number: Mapped[int]
    kind: Mapped[str]
    state: Mapped[str] = mapped_column(server_default="quoted")
    payload: Mapped[dict[str, Any]]
    lines: Mapped[list[Any]] = mapped_column(server_default="[]")
    due_minor: Mapped[int] = mapped_column(server_default="0")
    paid_minor: Mapped[int] = mapped_column(server_default="0")
    refund_minor: Mapped[int] = mapped_column(server_default="0")
    penalty_minor: Mapped[int] = mapped_column(server_default="0")
    currency: Mapped[str] = mapped_column(String(3))
    refund_to: Mapped[str] = mapped_column(server_default="original")
    idempotency_key: Mapped[str | None]
    actor_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())
    done_at: Mapped[datetime | None]


class Item(Base):
    """An extra of one passenger, on one flight or (insurance) the whole trip; a named seat is one of kind `seat`."""

    __tablename__ = "booking_items"
    __table_args__ = (
        CheckConstraint(f"kind in {ITEM_KINDS}", name="kind_known"),
        CheckConstraint(f"state in {ITEM_STATES}", name="state_known"),
        CheckConstraint("quantity > 0 and amount_minor >= 0", name="amounts_sensible"),
        Index("ix_booking_items_booking_id", "booking_id"),
        Index("ix_booking_items_flight_id", "flight_id"),
        Index("ix_booking_items_amendment_id", "amendment_id", postgresql_where=text("amendment_id is not null")),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True, server_default=text("gen_random_uuid()"))
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    amendment_id: Mapped[UUID | None] = mapped_column(ForeignKey("amendments.id", ondelete="CASCADE"))
    passenger_id: Mapped[UUID] = mapped_column(ForeignKey("passengers.id", ondelete="CASCADE"))
    flight_id: Mapped[int | None] = mapped_column(ForeignKey("flights.id"))
    kind: Mapped[str]
    code: Mapped[str]
    label: Mapped[str]
    quantity: Mapped[int]
    amount_minor: Mapped[int]
    seat: Mapped[str | None]
    state: Mapped[str] = mapped_column(server_default="active")
    created_at: Mapped[datetime] = mapped_column(server_default=func.now())


class Charge(Base):
    """One printed line of the price, for one passenger and slice; the lines add up to the booking's total.

    Once the booking is confirmed, lines are only ever appended, by an amendment: what goes back is a negative line.
    """

    __tablename__ = "charges"
    __table_args__ = (
        UniqueConstraint("booking_id", "position"),
        Index("ix_charges_amendment_id", "amendment_id", postgresql_where=text("amendment_id is not null")),
        Index("ix_charges_item_id", "item_id", postgresql_where=text("item_id is not null")),
    )

    id: Mapped[int] = mapped_column(Identity(), primary_key=True)
    booking_id: Mapped[UUID] = mapped_column(ForeignKey("bookings.id", ondelete="CASCADE"))
    position: Mapped[int]
    passenger_id: Mapped[UUID | None] = mapped_column(ForeignKey("passengers.id", ondelete="CASCADE"))
    slice_position: Mapped[int]
    code: Mapped[str]
    label: Mapped[str]
    amount_minor: Mapped[int]
    amendment_id: Mapped[UUID | None] = mapped_column(ForeignKey("amendments.id", ondelete="CASCADE"))
    item_id: Mapped[UUID | None] = mapped_column(ForeignKey("booking_items.id", ondelete="CASCADE"))


class Ticket(Base):
    """An e-ticket: 3-digit airline code + 10-digit serial, one open one per passenger (IATA Resolution 722).

    A changed trip gets a new ticket in exchange for the old one, whose unused coupons are void.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        CheckConstraint("number ~ '^[0-9]{13}$'", name="number_of_thirteen_digits"),
        CheckConstraint(f"status in {TICKET_STATES}", name="status_known"),
        Index("uq_tickets_open", "passenger_id", unique=True, postgresql_where=text("status = 'open'")),
        Index("ix_tickets_passenger_id", "passenger_id"),
    )

    number: Mapped[str] = mapped_column(String(13), primary_key=True)
    passenger_id: Mapped[UUID] = mapped_column(ForeignKey("passengers.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(server_default="open")
    in_exchange_for: Mapped[str | None] = mapped_column(ForeignKey("tickets.number", ondelete="CASCADE"))
    issued_at: Mapped[datetime] = mapped_column(server_default=func.now())

    coupons: Mapped[list[Coupon]] = relationship(order_by="Coupon.position", lazy="raise")


class Coupon(Base):
    """A ticket's right to one flight."""

    __tablename__ = "coupons"
    __table_args__ = (CheckConstraint(f"status in {COUPON_STATES}", name="status_known"),)

    ticket_number: Mapped[str] = mapped_column(ForeignKey("tickets.number", ondelete="CASCADE"), primary_key=True)
    position: Mapped[int] = mapped_column(primary_key=True)
    flight_id: Mapped[int] = mapped_column(ForeignKey("flights.id"), index=True)
    status: Mapped[str] = mapped_column(server_default="open")


# A booking with its parts in one go: what a buyer waits for is the number of questions, not of rows. No row comes back,
# and nothing was made, where the key or the reference is taken; whoever makes the same at this moment is waited for.
# The deadline is the same instant as that of the claims: now() stands still within a transaction.
HOLD = text(
    """
    with made as (
        insert into bookings (id, reference, user_id, contact_email, contact_phone, currency, total_minor, locale,
            idempotency_key, fingerprint, expires_at)
        values (:id, :reference, cast(:user_id as uuid), :contact_email, :contact_phone, :currency, :total_minor,
            :locale, :idempotency_key, :fingerprint, now() + make_interval(mins => :minutes))
        on conflict do nothing returning id, expires_at, created_at
    ), sold as (
        insert into booking_slices (booking_id, position, origin, destination, cabin, brand, booking_class, fare_basis,
            conditions, pricing)
        select made.id, position, origin, destination, cabin, brand, booking_class, fare_basis, conditions, pricing
        from made, jsonb_populate_recordset(null::booking_slices, cast(:slices as jsonb))
    ), flown as (
        insert into booking_segments (booking_id, slice_position, position, flight_id)
        select made.id, slice_position, position, flight_id
        from made, jsonb_populate_recordset(null::booking_segments, cast(:segments as jsonb))
    ), who as (
        insert into passengers (id, booking_id, position, type, given_name, family_name, ticket_name, date_of_birth)
        select who.id, made.id, position, type, given_name, family_name, ticket_name, date_of_birth
        from made, jsonb_populate_recordset(null::passengers, cast(:passengers as jsonb)) who
    ), priced as (
        insert into charges (booking_id, position, passenger_id, slice_position, code, label, amount_minor)
        select made.id, position, passenger_id, slice_position, code, label, amount_minor
        from made, jsonb_populate_recordset(null::charges, cast(:charges as jsonb))
    )
    select expires_at, created_at from made
    """
)
# A paid hold becomes a booking with tickets, numbered for the first flight's airline, in the passengers' order.
CONFIRM = text(
    """
    with booked as (
        update bookings set status = 'confirmed', expires_at = null, confirmed_at = :now, paid_minor = :paid
        where id = :id
    ), flown as (
        select s.flight_id, c.ticket_prefix, row_number() over (order by s.slice_position, s.position) - 1 as position
        from booking_segments s join flights f on f.id = s.flight_id join carriers c on c.code = f.carrier
        where s.booking_id = :id
    ), issued as (
        insert into tickets (number, passenger_id)
        select (select ticket_prefix from flown where position = 0) || lpad(nextval('ticket_serials')::text, 10, '0'),
            id
        from (select id from passengers where booking_id = :id order by position) p returning number
    )
    insert into coupons (ticket_number, position, flight_id)
    select number, position, flight_id from issued, flown returning position
    """
)

# The old tickets' unused coupons are void; what was flown stays so, as do `kept` flights that have left, and what
# somebody is checked in for on a direction that is not changed. Who stays off the direction keeps the ticket.
VOID = text(
    """
    with old as (
        update tickets t set status = 'exchanged' from passengers p
        where p.id = t.passenger_id and p.booking_id = :id and p.cancelled_at is null and t.status = 'open'
          and not (:slice = any(p.stays_off))
        returning t.number
    )
    update coupons c set status = 'void' from old
    where c.ticket_number = old.number and c.flight_id <> all(:kept) and (c.status = 'open' or (
        c.status = 'checked_in' and not exists (
            select from booking_segments s
            where s.booking_id = :id and s.slice_position <> :slice and s.flight_id = c.flight_id)))
    """
)
EXCHANGE = text(
    """
    with exchanged as (
        select distinct on (p.id) p.id, p.position, p.stays_off, t.number
        from passengers p join tickets t on t.passenger_id = p.id
        where p.booking_id = :id and p.cancelled_at is null and t.status = 'exchanged'
          and not exists (select from tickets o where o.passenger_id = p.id and o.status = 'open')
        order by p.id, t.issued_at desc, t.number desc
    ), due as (
        select x.id, s.flight_id, v.ticket_number, v.position as was,
               row_number() over (partition by x.id order by s.slice_position, s.position) - 1 as position
        from exchanged x join booking_segments s on s.booking_id = :id and not (s.slice_position = any(x.stays_off))
        join booking_slices l on l.booking_id = s.booking_id and l.position = s.slice_position
        left join coupons v on v.ticket_number = x.number and v.flight_id = s.flight_id and v.status = 'checked_in'
        where l.cancelled_at is null and s.flight_id <> all(:kept) and not exists (
            select from coupons c join tickets t on t.number = c.ticket_number
            where t.passenger_id = x.id and c.flight_id = s.flight_id and c.status = 'flown')
    ), issued as (
        insert into tickets (number, passenger_id, in_exchange_for)
        select substr(number, 1, 3) || lpad(nextval('ticket_serials')::text, 10, '0'), id, number
        from (select * from exchanged order by position) e returning number, passenger_id
    ), moved as (
        update coupons c set ticket_number = i.number, position = d.position from issued i join due d
        on d.id = i.passenger_id where c.ticket_number = d.ticket_number and c.position = d.was
    )
    insert into coupons (ticket_number, position, flight_id)
    select i.number, d.position, d.flight_id from issued i join due d on d.id = i.passenger_id and d.was is null
    """
)
