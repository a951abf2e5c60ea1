"""Rows of check-in: numbers, coupons, the seats on passes, documents. The statements; who may is the service's."""

from __future__ import annotations

from sqlalchemy import text

# The one counter of a flight's sequence numbers: whoever asks at the same moment waits for this row.
NUMBERS = text(
    """
    insert into boardings (flight_id, last_sequence) values (:flight_id, :count)
    on conflict (flight_id) do update set last_sequence = boardings.last_sequence + excluded.last_sequence
    returning last_sequence
    """
)
USE_COUPON = text(
    """
    update coupons set status = 'checked_in'
    where ticket_number = :ticket and position = :position and status = 'open' returning position
    """
)
OPEN_COUPON = text(
    """
    update coupons set status = 'open'
    where ticket_number = :ticket and position = :position and status = 'checked_in' returning position
    """
)
PRINT_SEAT = text("update check_ins set seat = :seat where flight_id = :flight_id and passenger_id = :who")
# A seat that was paid for stays an extra of its traveller, by its new name.
MOVE_EXTRA = text(
    """
    update booking_items set seat = :seat, label = replace(label, seat, :seat)
    where flight_id = :flight_id and passenger_id = :who and kind = 'seat' and state = 'active' and seat <> :seat
    """
)
# Whose seat is no longer the one on the pass that was mailed: chosen again, or moved by a swap of the aircraft.
RESEATED = text(
    """
    with moved as (
        select c.id, n.seat, p.booking_id from check_ins c join passengers p on p.id = c.passenger_id
        join flights f on f.id = c.flight_id join bookings b on b.id = p.booking_id
        join named_seats n on n.flight_id = c.flight_id and n.occupant = c.passenger_id and n.tentative_until is null
        where c.boarded_at is null and f.status = 'scheduled' and b.contact_email is not null
          and f.departure_at between now() - interval '1 day' and now() + interval '3 days'
          and coalesce(f.estimated_departure_at, f.departure_at) > now()
          and n.seat <> coalesce(c.told_seat, c.seat)
        order by p.booking_id, c.id limit 200 for update of c skip locked
    )
    update check_ins c set told_seat = moved.seat from moved where c.id = moved.id
    returning moved.booking_id, c.flight_id || ':' || c.sequence_number, moved.seat
    """
)
TELL_SEATS = text("update check_ins set told_seat = seat where flight_id = :flight_id and passenger_id = :who")
FORGET = text(
    """
    delete from travel_documents d using passengers p, bookings b
    where p.id = d.passenger_id and b.id = p.booking_id and (b.status <> 'confirmed' or not exists (
        select from booking_segments s join flights f on f.id = s.flight_id
        where s.booking_id = b.id and f.arrival_at > :before))
    returning d.passenger_id
    """
)
