"""Rules of one's own data: how long things wait, and how a copy of it is laid out to be read. Pure."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from html import escape
from typing import Any

from portal.kit.i18n import gettext as _

GRACE = timedelta(days=14)
COPY_KEPT = timedelta(days=3)
LINK_SECONDS = 3600
# Claims about a flight, and what airlines must be able to answer for it, are over by then in most cases.
AFTER_FLIGHT = timedelta(days=30)
NOBODY = "erased@example.invalid"  # RFC 2606: no mail can ever go there

Row = Mapping[str, Any]


def due(asked_at: datetime) -> datetime:
    """Return when an account is erased that was asked to be at `asked_at`: until then the wish can be taken back."""
    return asked_at + GRACE


def packed(sections: Mapping[str, Sequence[Row]], files: Mapping[str, bytes], made_at: datetime, name: str) -> bytes:
    """Return a ZIP of data.json for programs, index.html for people, and the papers as they were sent."""
    folder = io.BytesIO()
    with zipfile.ZipFile(folder, "w", zipfile.ZIP_DEFLATED) as made:
        told = {"madeAt": made_at.isoformat(), **{section: list(rows) for section, rows in sections.items()}}
        made.writestr("data.json", json.dumps(told, indent=2, ensure_ascii=False, default=str))
        made.writestr("index.html", _readable(sections, files, made_at, name))
        for path, content in files.items():
            made.writestr(f"papers/{path}", content)
    return folder.getvalue()


def titles() -> dict[str, tuple[str, str]]:
    """Return what each section is called, and what it is for, in the reader's language."""
    return {
        "account": (_("Your account"), _("Who you are to us, and how letters find you.")),
        "preferences": (_("Preferences"), _("What you told us you like.")),
        "savedTravellers": (_("Saved travellers"), _("Whom you book for.")),
        "favouriteRoutes": (_("Favourite routes"), _("What you keep at hand.")),
        "bookings": (_("Bookings"), _("What you bought.")),
        "passengers": (_("Travellers of your bookings"), _("Who flies, as it was typed.")),
        "flights": (_("Flights of your bookings"), _("Where you went and go.")),
        "charges": (_("Prices"), _("What each booking is made of; amounts in the currency's smallest unit.")),
        "payments": (_("Payments"), _("How you paid. Card numbers never reach us.")),
        "refunds": (_("Refunds"), _("What went back to you.")),
        "credits": (_("Credits"), _("Money kept for a later trip.")),
        "travelDocuments": (_("Travel documents"), _("What you gave at check-in, as long as it is kept.")),
        "waitingLists": (_("Waiting lists"), _("Flights that you wait for.")),
        "fareAlerts": (_("Fare alerts"), _("Prices that you watch.")),
        "signIns": (_("Signed-in browsers"), _("Where you are signed in at this moment.")),
        "programs": (_("Programs and keys"), _("What may act for you; secrets are kept as hashes only.")),
        "secondSteps": (_("Second steps"), _("What signing in asks for besides the password.")),
        "letters": (_("Letters"), _("What we have mailed you.")),
        "deeds": (_("What was done"), _("What you did that we must be able to prove.")),
    }


STYLE = """
body { font: 17px/1.5 Verdana, Arial, sans-serif; color: #10212f; background: #f7fbfc; margin: 0 auto; padding: 24px;
  max-width: 1100px; }
h1 { border-bottom: 3px solid #00609a; padding-bottom: 12px; } h2 { margin: 40px 0 4px; } p { color: #4d5d6b; }
div { overflow-x: auto; } table { border-collapse: collapse; font-size: 15px; background: #fff; }
th, td { border: 1px solid #d2dbe0; padding: 6px 10px; text-align: left; vertical-align: top; } a { color: #00609a; }
@media (prefers-color-scheme: dark) { body { background: #0b151d; color: #e8eef1; } p { color: #a5b3bc; }
  table { background: #111d27; } th, td { border-color: #293743; } a { color: #65c0ef; } }
"""


def _readable(sections: Mapping[str, Sequence[Row]], files: Mapping[str, bytes], made_at: datetime, name: str) -> str:
    words = titles()
    parts = [_section(*words[section], rows) for section, rows in sections.items()]
    papers = "".join(f'<li><a href="papers/{escape(path)}">{escape(path)}</a></li>' for path in files)
    head = _("Everything that %(name)s keeps about you") % {"name": name}
    when = _("As it stood on %(time)s.") % {"time": made_at.strftime("%Y-%m-%d %H:%M UTC")}
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(head)}</title>'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}</style></head><body>'
        f"<h1>{escape(head)}</h1><p>{escape(when)}</p>{''.join(parts)}"
        f"<h2>{escape(_('Papers'))}</h2><ul>{papers}</ul></body></html>"
    )


def _section(title: str, purpose: str, rows: Sequence[Row]) -> str:
    head = f"<h2>{escape(title)}</h2><p>{escape(purpose)}</p>"
    if not rows:
        return head + f"<p>– {escape(_('nothing'))} –</p>"
    columns = list(rows[0])
    titles = "".join(f"<th>{escape(_spoken(column))}</th>" for column in columns)
    lines = "".join(f"<tr>{''.join(f'<td>{_cell(row[column])}</td>' for column in columns)}</tr>" for row in rows)
    return f"{head}<div><table><thead><tr>{titles}</tr></thead><tbody>{lines}</tbody></table></div>"


def _spoken(column: str) -> str:
    """`dateOfBirth` → `Date of birth`."""
    return "".join(f" {one.lower()}" if one.isupper() else one for one in column).strip().capitalize()


def _cell(value: Any) -> str:
    return "–" if value is None else escape(", ".join(map(str, value)) if isinstance(value, list) else str(value))
