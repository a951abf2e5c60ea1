"""What flights of a route were booked in, class by class: the history that protections are reckoned from.

What was sold is not all that was wanted – a closed class sells nothing – so these figures are low where flights were
full; pricing therefore uses them only for routes with many flights and many seats sold.
"""

from __future__ import annotations

from datetime import date

from sqlalchemy import text
from sqlalchemy.orm import Session

History = dict[tuple[str, str, str], dict[str, tuple[float, float]]]

# A flight on which a class sold nothing counts with 0 seats: the sums run over what was sold, n over all flights.
SOLD = text(
    """
    with flown as (
        select f.id, f.origin, f.destination, c.cabin from flights f join flight_cabins c on c.flight_id = f.id
        where f.departs_on >= :first and f.departs_on < :last and f.status = 'scheduled'
    ), routes as (
        select origin, destination, cabin, count(*)::float8 as n from flown group by 1, 2, 3
    ), sold as (
        select w.id, w.origin, w.destination, w.cabin, p.booking_class, count(*)::float8 as seats
        from flown w join booking_segments s on s.flight_id = w.id
        join booking_slices p on p.booking_id = s.booking_id and p.position = s.slice_position and p.cabin = w.cabin
        join bookings b on b.id = p.booking_id and b.status = 'confirmed'
        join passengers g on g.booking_id = b.id and g.type <> 'infant' and g.cancelled_at is null
            and not (p.position = any(g.stays_off))
        where p.cancelled_at is null group by 1, 2, 3, 4, 5
    ), sums as (
        select origin, destination, cabin, booking_class, sum(seats) as seats, sum(seats * seats) as squares from sold
        group by 1, 2, 3, 4
    ), enough as (
        select r.* from routes r join sums s using (origin, destination, cabin) where r.n >= :flights
        group by r.origin, r.destination, r.cabin, r.n having sum(s.seats) >= :seats
    )
    select e.origin, e.destination, e.cabin, s.booking_class, s.seats / e.n,
           sqrt(greatest(s.squares - s.seats * s.seats / e.n, 0) / greatest(e.n - 1, 1))
    from enough e join sums s using (origin, destination, cabin)
    """
)


def class_demand(session: Session, first: date, last: date, *, flights: int, seats: int) -> History:
    """Return mean and standard deviation of the seats sold on a flight, by (origin, destination, cabin) and letter.

    Of the flights that left from `first` to the day before `last`; only of routes with at least that many `flights`
    and that many `seats` sold in the cabin.
    """
    found: History = {}
    values = {"first": first, "last": last, "flights": flights, "seats": seats}
    for origin, destination, cabin, letter, mean, sigma in session.execute(SOLD, values):
        found.setdefault((origin, destination, cabin), {})[letter] = (mean, sigma)
    return found
