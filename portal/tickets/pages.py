"""A booking's files for people, and the demo's mailbox."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

from starlette.responses import HTMLResponse, Response

from portal.booking.views import BookingView
from portal.kit import db, grants, ids, limits, mail
from portal.kit.errors import NotFound
from portal.kit.web import Request, page, render
from portal.tickets import queries, service

# What a mail may do in its frame: nothing but show itself, and open a link in a tab of its own.
FRAME = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:"
)
OWN_FRAME = {"Content-Security-Policy": f"{FRAME}; frame-ancestors 'self'", "X-Frame-Options": "SAMEORIGIN"}


def itinerary(request: Request) -> Response:
    """Hand over the itinerary as PDF."""
    view = _seen(request)
    with db.writing() as session:
        made = service.itinerary(session, view, request.settings)
    return _file(made, "inline")


def receipt(request: Request) -> Response:
    """Hand over the receipt of the sale as PDF, also of a booking that was cancelled since."""
    view = _seen(request, service.PAID)
    with db.writing() as session:
        made = service.receipt(session, view, request.settings)
    return _file(made, "inline")


def paper(request: Request) -> Response:
    """Hand over one of the booking's receipts and credit notes."""
    view = _seen(request, service.PAID)
    with db.writing() as session:
        made = service.paper_file(session, view, request.path_params["number"], request.settings)
    return _file(made, "inline")


def calendar(request: Request) -> Response:
    """Hand over the flights for a calendar."""
    return _file(service.calendar(_seen(request), request.settings), "attachment")


def _seen(request: Request, states: tuple[str, ...] = ("confirmed",)) -> BookingView:
    reference = ids.normal_reference(request.path_params["reference"])
    asker = service.Asker(
        **grants.standing(request, reference),
        family_name=None,
        address=limits.caller(request.scope),
    )
    with db.reading() as session:
        return service.find(session, reference, asker, request.settings, states=states)


def _file(made: mail.File, how: str) -> Response:
    headers = {
        "Content-Disposition": f"{how}; filename*=UTF-8''{quote(made.name)}",
        "Cache-Control": "private, no-store",
    }
    return Response(made.content, media_type=made.media_type, headers=headers)


def mailbox(request: Request) -> Response:
    """List what this demo sent."""
    folder = _folder(request)
    return render(request, "tickets/dev_mail.html", mails=queries.kept_mails(folder), mail=None, files=(), html_href="")


def one_mail(request: Request) -> Response:
    """Show one mail beside the list."""
    mails, opened = queries.kept_mails(_folder(request)), _opened(request)
    at = f"/dev/mail/{opened.id}"
    files = [
        (f"{at}/files/{i}", file.name, f"{-(-len(file.content) // 1024)} kB") for i, file in enumerate(opened.files)
    ]
    html_href = f"{at}/html" if opened.html is not None else ""
    return render(request, "tickets/dev_mail.html", mails=mails, mail=opened, files=files, html_href=html_href)


def _size(file: queries.Attached) -> str:
    return f"{-(-len(file.content) // 1024)} kB"


def mail_html(request: Request) -> Response:
    """Return a mail's HTML for its frame, in which it can do nothing."""
    return HTMLResponse(f'<base target="_blank">{_opened(request).html or ""}', headers=OWN_FRAME)


def mail_file(request: Request) -> Response:
    """Return a file of a mail, to be saved and never shown in place."""
    files = _opened(request).files
    index = request.path_params["index"]
    if index >= len(files):
        raise NotFound()
    file = files[index]
    return _file(mail.File(file.name, "application/octet-stream", file.content), "attachment")


def _opened(request: Request) -> queries.OpenMail:
    opened = queries.open_mail(_folder(request), request.path_params["id"])
    if opened is None:
        raise NotFound()
    return opened


def _folder(request: Request) -> Path:
    """Return where mails are kept; raises NotFound where mail is for real people."""
    settings = request.settings
    if not settings.demo and settings.env != "development":
        raise NotFound()
    return Path(settings.mail_dir)


routes = [
    page("/bookings/{reference}/itinerary.pdf", itinerary),
    page("/bookings/{reference}/calendar.ics", calendar),
    page("/bookings/{reference}/receipt.pdf", receipt),
    page("/bookings/{reference}/papers/{number}.pdf", paper),
    page("/dev/mail", mailbox),
    page("/dev/mail/{id}", one_mail),
    page("/dev/mail/{id}/html", mail_html),
    page("/dev/mail/{id}/files/{index:int}", mail_file),
]
