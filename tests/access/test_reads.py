"""To look changes nothing: every GET leaves every table as it was."""

from __future__ import annotations

from sqlalchemy import text

from portal import access
from portal.kit import db
from tests.access.asking import Asker

# What a look may leave behind, and why.
TRACES = {
    "sign_ins": "that somebody is still there",
    "letters": "a quick handler may be woken",
    "kept_papers": "an itinerary is made when it is first asked for",
}
# Looks that find out how a payment at the bank ended, which is true already.
SETTLES = {"/book/{reference}/payments/{payment_id}", "/api/bookings/{reference}/payments/{payment_id}"}


def sums() -> dict[str, object]:
    """Return one sum of all rows for each table."""
    with db.reading() as session:
        names = session.scalars(text("select tablename from pg_tables where schemaname = 'public'")).all()
        return {
            name: session.scalar(text(f"select md5(string_agg(md5(t::text), '' order by md5(t::text))) from {name} t"))
            for name in names
            if name not in TRACES
        }


def test_no_look_changes_anything(asker: Asker) -> None:
    # The first look may have a document made; from then on nothing is left to be made.
    looks = [path for method, path in access.RULES if method == "GET" and path not in SETTLES]
    for path in looks:
        asker.ask("owner", "GET", path)
    before = sums()
    changed = []
    for path in looks:
        for who, method in (("guest", "GET"), ("owner", "GET"), ("admin", "GET"), ("owner", "HEAD")):
            asker.ask(who, method, path)
        after = sums()
        changed += [f"{path}: {name}" for name in after if after[name] != before[name]]
        before = after
    assert changed == []
