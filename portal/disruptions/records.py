"""Rows of changes by the carrier: the statements that find, lock and close many of them at once.

A row is noted, told, and then decided; what is open is noted or told.
"""

from __future__ import annotations

from sqlalchemy import text

HOLDERS = text(
    """
    select b.reference, b.id from bookings b join booking_segments g on g.booking_id = b.id
    where g.flight_id = :flight_id and b.reference = any(:references) and b.status = 'confirmed'
    """
)
# New times replace older times, and a cancellation everything; who has no seat, or other seats, keeps that question.
SUPERSEDE = text(
    """
    update affected_bookings a set state = 'lapsed', decided_at = now(), remind_at = null, refund_at = null
    from disruptions d where d.id = a.disruption_id and d.flight_id = :flight_id and a.state in ('noted', 'told')
      and (:kind = 'cancel' or (:kind in ('delay', 'retime') and d.kind in ('delay', 'retime'))
           or (:kind = 'swap' and a.why = 'swapped'))
    """
)
LEAVES = """(select min(f.departure_at) from booking_segments g join flights f on f.id = g.flight_id
        where g.booking_id = a.booking_id and g.slice_position = a.slice_position)"""
TO_TELL = text(
    f"""
    select a.id, coalesce({LEAVES}, now()) leaves_at
    from affected_bookings a join bookings b on b.id = a.booking_id
    where a.disruption_id = :id and a.state = 'noted' and b.status = 'confirmed' and b.contact_email is not null
    order by a.id limit :limit for update of a skip locked
    """  # noqa: S608 – only our own words are put in, values are bound
)
TO_REMIND = text(
    f"""
    select a.id, coalesce({LEAVES}, now()) leaves_at from affected_bookings a
    where a.state = 'told' and a.remind_at <= now() order by a.remind_at limit :limit for update of a skip locked
    """  # noqa: S608 – only our own words are put in, values are bound
)
UNFINISHED = text(
    """
    select distinct d.id from affected_bookings a join disruptions d on d.id = a.disruption_id
    join bookings b on b.id = a.booking_id
    where a.state = 'noted' and d.state = 'announced' and b.status = 'confirmed' and b.contact_email is not null
    """
)
# Rows that somebody decides on at this moment are left to them.
MOOT = text(
    """
    with moot as (
        select a.id, case when b.status = 'expired' then 'lapsed' when b.status = 'cancelled' or exists (
            select from booking_slices s where s.booking_id = b.id and s.position = a.slice_position
            and s.cancelled_at is not null) then 'refunded' else 'rebooked' end state
        from affected_bookings a join disruptions d on d.id = a.disruption_id join bookings b on b.id = a.booking_id
        where a.state in ('noted', 'told') and (cast(:booking_id as uuid) is null or b.id = :booking_id)
          and (b.status not in ('held', 'confirmed') or not exists (
            select from booking_segments g join booking_slices s on s.booking_id = g.booking_id
                and s.position = g.slice_position and s.cancelled_at is null
            where g.booking_id = b.id and g.flight_id = d.flight_id))
        order by a.id for update of a skip locked
    )
    update affected_bookings a set state = moot.state, decided_at = now(), remind_at = null, refund_at = null
    from moot where a.id = moot.id returning a.id
    """
)
LOCK_OPEN = text(
    """
    select id from affected_bookings
    where id = :id or (state in ('noted', 'told') and booking_id = (
        select booking_id from affected_bookings where id = :id)) order by id for update
    """
)
LEFT = text(
    """
    update affected_bookings a set state = 'lapsed', decided_at = now(), remind_at = null, refund_at = null
    from disruptions d join flights f on f.id = d.flight_id
    where d.id = a.disruption_id and a.state in ('noted', 'told') and a.why <> all(:cannot_fly)
      and coalesce(f.estimated_departure_at, f.departure_at) <= now() returning a.id
    """
)
# What a swap before this one was to give back and has not yet, because it was not told: it is not forgotten.
STILL_DUE = text(
    """
    select a.booking_id, unnest(a.items) item from affected_bookings a join disruptions d on d.id = a.disruption_id
    where d.flight_id = :flight_id and a.state in ('noted', 'told') and a.amendment_id is null
    """
)
PAID_SEATS = text(
    """
    select i.id, i.booking_id, b.currency, s.cabin, i.passenger_id, i.seat from booking_items i
    join bookings b on b.id = i.booking_id and b.status in ('held', 'confirmed')
    join booking_segments g on g.booking_id = b.id and g.flight_id = i.flight_id
    join booking_slices s on s.booking_id = b.id and s.position = g.slice_position
    where i.flight_id = :flight_id and i.kind = 'seat' and i.state = 'active' and i.amount_minor > 0
      and i.seat is not null and i.booking_id <> all(:leaving) order by i.id
    """
)
SEATS_MOVED = text(
    """
    update booking_items set seat = cast(:new as text), label = replace(label, seat, coalesce(:new, '–'))
    where flight_id = :flight_id and passenger_id = :occupant and kind = 'seat' and state = 'active'
    """
)
SEATS_LOST = text(
    """
    update booking_items set seat = null where flight_id = :flight_id and booking_id = any(:leaving) and kind = 'seat'
    """
)
