"""Seats by name for the demo's invented travellers, so that its seat maps look like those of flights that sell.

Written in bulk, past the doors, and so keeps to their rules itself: parties side by side, spread over the cabin, nobody
by an exit, nobody on a flight where anybody has chosen.
"""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

# Parties stand in a row in no particular order; their place in the row is stretched to the length of the cabin.
NAME = text(
    """
    with flown as (
        select f.id, f.aircraft from flights f
        where f.departure_at > now() and f.status = 'scheduled'
          and not exists (select from named_seats n where n.flight_id = f.id)
    ), places as (
        select a.aircraft, a.cabin, r.number || l.letter as seat,
               row_number() over (partition by a.aircraft, a.cabin order by r.number, l.letter) - 1 as place,
               count(*) over (partition by a.aircraft, a.cabin) as all_places
        from aircraft_cabins a, generate_series(a.first_row, a.last_row) r (number),
             regexp_split_to_table(replace(a.layout, ' ', ''), '') l (letter)
        where r.number <> all(a.exit_rows)
    ), parties as (
        select c.holder, c.flight_id, c.cabin, f.aircraft,
               sum(c.seats) over w - c.seats as before, sum(c.seats) over (partition by c.flight_id, c.cabin) as sold
        from seat_claims c join flown f on f.id = c.flight_id
        join bookings b on b.id = c.holder and b.idempotency_key ~ '^demo-(sale|team):'
        where c.expires_at is null
        window w as (partition by c.flight_id, c.cabin order by hashtext(c.holder::text), c.holder)
    ), people as (
        select p.booking_id, p.id, row_number() over (partition by p.booking_id order by p.position) - 1 as nth
        from passengers p where p.type <> 'infant' and p.cancelled_at is null
          and p.booking_id in (select holder from parties)
    )
    insert into named_seats (flight_id, seat, cabin, holder, occupant)
    select t.flight_id, s.seat, t.cabin, t.holder, p.id
    from parties t join people p on p.booking_id = t.holder
    join places s on s.aircraft = t.aircraft and s.cabin = t.cabin
     and s.place = p.nth + (t.before * greatest(s.all_places, t.sold)) / t.sold
    where abs(hashtext(t.holder::text) % 10) < 7
    """
)


def name_sold_seats(session: Session) -> int:
    """Give seven of ten invented parties their seats on flights ahead where nobody has one yet; returns how many seats.

    Bookings that anybody really made are left alone.
    """
    return session.execute(NAME).rowcount  # type: ignore[no-any-return,attr-defined]  # an INSERT's result counts rows
