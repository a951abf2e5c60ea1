"""Doors: how a request reaches a plain function, and how its answer or its no goes out.

`page()` and `endpoint()` make routes of plain functions `(request) -> Response`. They read the body within its limits,
find out who asks, ask the app's `admit` whether they may come in here at all, run the function in the thread pool, and
turn a PortalError into the right tongue: problem+json under /api/, a notice for an htmx part, a whole page for a
person – always with the real status.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from urllib.parse import quote, urlsplit
from uuid import UUID

import jinja2
from markupsafe import Markup
from sqlalchemy.exc import DataError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.requests import ClientDisconnect
from starlette.requests import Request as StarletteRequest
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from portal.kit import audit, clock, i18n, logs, replay, signing
from portal.kit.assets import asset
from portal.kit.errors import BadRequest, Forbidden, NotSignedIn, PortalError, ProofNeeded, UnsupportedMedia
from portal.kit.i18n import gettext as _
from portal.kit.settings import ROOT, Settings
from portal.kit.validation import speakable

UNSAFE = {"POST", "PUT", "PATCH", "DELETE"}
MAX_FIELDS = 2000
NOTICE_COOKIE = "notices"
PROOF_LASTS = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Viewer:
    """Who asks: a signed-in person with one role, customer, staff or admin."""

    id: UUID
    email: str
    name: str
    role: str
    proved_at: datetime | None = None  # when this browser last showed a password, a code or a passkey
    scopes: frozenset[str] | None = None  # what an API key may; None is everything that the role may

    @property
    def is_staff(self) -> bool:
        """True for whom the back office is open."""
        return self.role in ("staff", "admin")


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence to show once; kind is info, good, warn or stop."""

    kind: str
    text: str


class Request(StarletteRequest):
    """A request whose body was read before the door opened: `fields` (a form) or `document` (JSON, `raw` its bytes)."""

    fields: FormData
    document: Any
    raw: bytes

    @property
    def settings(self) -> Settings:
        """The process's settings."""
        return cast(Settings, self.app.state.settings)

    @property
    def viewer(self) -> Viewer | None:
        """Who asks, or None for a guest."""
        return cast("Viewer | None", getattr(self.state, "viewer", None))

    @property
    def viewer_id(self) -> UUID | None:
        """The account that asks, or None for a guest."""
        return self.viewer.id if self.viewer else None

    @property
    def wants_part(self) -> bool:
        """True when htmx asks for a part of the page and not for the whole."""
        return self.headers.get("hx-request-type") == "partial"

    def require(self, *roles: str) -> Viewer:
        """Return the viewer; raises NotSignedIn for a guest and Forbidden for a role not among `roles`, if any."""
        if self.viewer is None:
            raise NotSignedIn()
        if roles and self.viewer.role not in roles:
            raise Forbidden()
        return self.viewer

    def fresh(self) -> Viewer:
        """Return the viewer if they showed who they are within ten minutes; raises ProofNeeded, which asks them to."""
        viewer = self.require()
        if viewer.proved_at is None or viewer.proved_at + PROOF_LASTS < clock.now():
            raise ProofNeeded()
        return viewer


View = Callable[..., Response]


def page(path: str, view: View, *, methods: tuple[str, ...] = ("GET",), name: str | None = None) -> Route:
    """Return a route for people: form bodies, the session's viewer."""
    return _route(path, view, methods, name, api=False)


def endpoint(path: str, view: View, *, methods: tuple[str, ...] = ("GET",), name: str | None = None) -> Route:
    """Return a route for programs: JSON bodies, the bearer token's viewer."""
    return _route(path, view, methods, name, api=True)


def _route(path: str, view: View, methods: tuple[str, ...], name: str | None, *, api: bool) -> Route:
    async def door(plain: StarletteRequest) -> Response:
        request = Request(plain.scope, plain.receive)
        try:
            await _read_body(request, api=api)
            return await run_in_threadpool(_enter, request, view, path, api)
        except PortalError as no:
            return await run_in_threadpool(problem, request, no)
        except DataError:
            if speakable([list(pair) for pair in request.fields.multi_items()]):
                raise
            return await run_in_threadpool(problem, request, BadRequest(_("Please use characters that can be typed.")))
        except ClientDisconnect:
            return Response(status_code=400)  # Nobody is there to read it.

    return Route(
        path, _with_operation(door, view), methods=list(methods), name=name or f"{view.__module__}.{view.__name__}"
    )


def _with_operation(door: Any, view: View) -> Any:
    door.operation = getattr(view, "operation", None)
    door.view = view
    return door


def _enter(request: Request, view: View, path: str, api: bool) -> Response:
    identify = request.app.state.viewer_from_token if api else request.app.state.viewer_from_session
    request.state.viewer = identify(request)
    audit.acting.set(_acting(request, api=api))
    request.app.state.admit(request, path)
    if not api or request.method not in UNSAFE:
        return _work(request, view)
    return replay.once(request, request.raw, _asker(request), lambda: _work_or_refuse(request, view))


def _acting(request: Request, *, api: bool) -> audit.Acting:
    viewer = request.viewer
    if viewer is None:
        return audit.Acting("guest")
    return audit.Acting("key" if viewer.scopes is not None else "token" if api else "session", viewer.id, viewer.role)


def _work(request: Request, view: View) -> Response:
    operation = getattr(view, "operation", None)
    return cast(Response, operation.call(view, request) if operation else view(request))


def _work_or_refuse(request: Request, view: View) -> Response:
    try:
        return _work(request, view)
    except PortalError as no:
        return problem(request, no)


def _asker(request: Request) -> str:
    token = request.headers.get("authorization", "")
    if request.viewer is not None:
        return f"viewer:{request.viewer.id}"
    return f"token:{token}" if token else f"address:{request.client.host if request.client else ''}"


async def _read_body(request: Request, *, api: bool) -> None:
    request.fields, request.document, request.raw = FormData(), None, b""
    if request.method not in UNSAFE:
        return
    if api:
        request.document = await _json(request)
    else:
        request.fields = await request.form(max_fields=MAX_FIELDS, max_files=0)


async def _json(request: Request) -> Any:
    body = request.raw = await request.body()
    if not body:
        return None
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        raise UnsupportedMedia(f"Send application/json, not {kind or 'an unnamed type'}.")
    try:
        return json.loads(body, parse_constant=_no_constant, object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise BadRequest("The body is not well-formed JSON.") from None


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")  # One reader would take the first, another the last.
    return found


@lru_cache(maxsize=1)
def templates() -> jinja2.Environment:
    """Return the one Jinja environment: StrictUndefined, autoescape, gettext, the house's filters."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(ROOT / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=jinja2.select_autoescape(["html", "xml"]),
        extensions=["jinja2.ext.i18n", "jinja2.ext.do"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    cast(Any, environment).install_gettext_callables(i18n.gettext, i18n.ngettext, newstyle=True)
    environment.globals.update({"asset": asset, "_": _words, "gettext": _words})
    environment.filters.update(
        money=i18n.price,
        day=i18n.day,
        long_day=i18n.long_day,
        short_day=i18n.short_day,
        clock_time=i18n.clock_time,
        moment=i18n.moment,
        duration=i18n.duration,
    )
    environment.globals["ui"] = environment.get_template("kit/ui.html").make_module()
    return environment


@jinja2.pass_eval_context
def _words(context: jinja2.nodes.EvalContext, message: str, /, **values: Any) -> str:
    """Say a sentence in the reader's language, as Jinja's own `_` does but in one call: a page has hundreds."""
    said = (_marked if context.autoescape else i18n.gettext)(message)
    return said % values if values or "%" in said else said


def _marked(message: str) -> Markup:
    return _marked_in(i18n.locale.get(), message)


@lru_cache(maxsize=8192)
def _marked_in(_language: str, message: str) -> Markup:
    return Markup(i18n.gettext(message))  # noqa: S704 – our own words and their translations


def render(request: Request, name: str, *, block: str | None = None, status: int = 200, **context: Any) -> HTMLResponse:
    """Return the page `name`, or only its `block` when htmx asks for a part and the page names one."""
    template = templates().get_template(name)
    whole = {**_common(request), **context}
    if block and request.wants_part:
        html = "".join(template.blocks[block](template.new_context(whole)))
    else:
        html = template.render(whole)
    response = HTMLResponse(
        html, status, headers={"Vary": "HX-Request-Type, Cookie, Accept-Language", "Cache-Control": "private, no-cache"}
    )
    if request.cookies.get(NOTICE_COOKIE) and not (block and request.wants_part):
        response.delete_cookie(NOTICE_COOKIE)
    return response


def _common(request: Request) -> dict[str, Any]:
    theme = request.cookies.get("theme", "auto")
    return {
        "request": request,
        "viewer": request.viewer,
        "locale": i18n.locale.get(),
        "theme": theme if theme in ("light", "dark") else "auto",
        "notices": _notices(request),
        "demo": request.settings.demo,
        "brand_name": request.settings.email_from_name,
        "request_id": logs.request_id.get(),
    }


def _notices(request: Request) -> list[Notice]:
    try:
        pairs = signing.unseal(
            request.settings, NOTICE_COOKIE, request.cookies.get(NOTICE_COOKIE, ""), max_age_seconds=300
        )
    except ValueError:
        return []
    return [Notice(kind, text) for kind, text in pairs]


def see_other(request: Request, url: str, *notices: Notice) -> Response:
    """Send the browser to `url` with GET (303); `notices` are shown there once."""
    response = RedirectResponse(url, status_code=303)
    if notices:
        sealed = signing.seal(request.settings, NOTICE_COOKIE, [(notice.kind, notice.text) for notice in notices])
        response.set_cookie(
            NOTICE_COOKIE, sealed, max_age=300, httponly=True, samesite="lax", secure=request.settings.secure_cookies
        )
    return response


def is_api(request: StarletteRequest) -> bool:
    """True where programs are answered."""
    return request.url.path.startswith("/api/")


def problem(request: Request, no: PortalError) -> Response:
    """Return `no` in the tongue of who asked."""
    if is_api(request):
        return problem_json(request, no)
    if isinstance(no, NotSignedIn) and request.method == "GET" and not request.wants_part:
        return see_other(
            request, f"/account/sign-in?next={_quoted_path(request)}", Notice("info", no.detail or no.title)
        )
    if isinstance(no, ProofNeeded) and not request.wants_part:
        return see_other(request, f"/account/confirm?next={quote(_came_from(request), safe='')}")
    part = "problem" if request.wants_part else None
    response = render(request, "kit/problem.html", block=part, status=no.status, problem=no)
    _retry_after(response, no)
    return response


def problem_json(request: StarletteRequest, no: PortalError) -> JSONResponse:
    """Return RFC 9457 problem details."""
    body: dict[str, Any] = {
        "type": f"/help/errors#{no.code}",
        "title": no.title,
        "status": no.status,
        "detail": no.detail or no.title,
        "instance": request.url.path,
        "code": no.code,
        "requestId": logs.request_id.get(),
    }
    if no.errors:
        body["errors"] = [{"pointer": pointer(error.pointer), "detail": error.detail} for error in no.errors]
    body.update(getattr(no, "extra", {}))
    response = JSONResponse(body, no.status, media_type="application/problem+json")
    _retry_after(response, no)
    if no.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def pointer(path: str) -> str:
    """Return a dotted path as a JSON pointer: `passengers.0.familyName` → `/passengers/0/familyName`."""
    return "/" + path.replace("~", "~0").replace("/", "~1").replace(".", "/") if path else ""


def _retry_after(response: Response, no: PortalError) -> None:
    if no.retry_after is not None:
        response.headers["Retry-After"] = str(no.retry_after)


def _quoted_path(request: Request) -> str:
    return quote(_path(request), safe="")


def _path(request: Request) -> str:
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _came_from(request: Request) -> str:
    """Return the page that the reader looks at: this one, or for a form the one that it stood on."""
    if request.method == "GET":
        return _path(request)
    parts = urlsplit(request.headers.get("referer", ""))
    ours = parts.netloc == request.headers.get("host", "")
    return parts.path + (f"?{parts.query}" if parts.query else "") if ours and parts.path else "/account"


def errors_by_field(no: PortalError) -> Mapping[str, str]:
    """Return the first sentence for each wrong field, for a template to show beside it."""
    found: dict[str, str] = {}
    for error in no.errors:
        found.setdefault(error.pointer, error.detail)
    return found
