"""The directory leads each address to the door that a plain router leads it to."""

from __future__ import annotations

from typing import Any

import pytest
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route, Router
from starlette.testclient import TestClient

from portal.app import ROUTES
from portal.kit.directory import Directory

ADDRESSES = (
    "/",
    "/flights",
    "/flights/",
    "/api/bookings",
    "/api/bookings/ABC",
    "/api/flights/search",
    "/api",
    "/api/x",
)
METHODS = ("GET", "POST", "DELETE")


async def led_to(router: Router, path: str, method: str) -> Any:
    """Return which route took the request, or how it was refused, without going in."""
    scope: dict[str, Any] = {"type": "http", "path": path, "method": method, "headers": [], "query_string": b""}
    scope |= {"server": ("localhost", 80), "scheme": "http"}
    said: list[Any] = []

    async def send(message: Any) -> None:
        said.append(message.get("status"))

    class Entered(Exception):
        pass

    async def receive() -> Any:
        raise Entered

    try:
        await router.app(scope, receive, send)
    except Exception as raised:
        said.append(type(raised).__name__)
    return getattr(scope.get("route"), "name", None), scope.get("path_params"), said[:1]


def filled(path: str) -> str:
    return path.replace(":uuid}", "}").replace(":int}", "}").replace(":path}", "}").replace("{", "").replace("}", "")


def test_every_address_of_ours_leads_where_a_plain_router_leads() -> None:
    quiet = [_without_door(route) for route in ROUTES]
    plain, ours = Router(quiet), Directory(quiet, None)
    paths = {*ADDRESSES, *(filled(route.path) for route in ROUTES)}  # type: ignore[attr-defined]  # each has a path
    paths |= {f"{path}/" for path in paths} | {f"{path}/more" for path in paths} | {path.upper() for path in paths}

    async def look() -> None:
        for path in sorted(paths):
            for method in METHODS:
                assert await led_to(ours, path, method) == await led_to(plain, path, method), (method, path)

    with start_blocking_portal() as elsewhere:  # a browser may hold this thread's loop
        elsewhere.call(look)


def _without_door(route: Any) -> Any:
    """Return the same route with an empty room behind it."""

    async def empty(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.url.path)

    if isinstance(route, Mount):
        return Mount(route.path, PlainTextResponse("mounted"), name=route.name)
    return type(route)(route.path, empty, methods=list(route.methods or ()), name=route.name)


@pytest.mark.parametrize("first", [True, False])
def test_a_route_that_is_put_in_later_is_found(first: bool) -> None:
    async def late(_: Request) -> PlainTextResponse:
        return PlainTextResponse("late")

    app = Starlette()
    app.router = Directory([Route("/early/{name}", late)], None)
    client = TestClient(app)
    if first:
        assert client.get("/late").status_code == 404
    app.router.routes.insert(0, Route("/late", late))
    assert client.get("/late").text == "late"
    assert client.post("/early/bird").status_code == 405
