"""The limit of a door: the very same answer made from memory, behind the same server and middleware."""

from __future__ import annotations

import json
import os
from typing import Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.testclient import TestClient

from portal.app import create_app
from portal.kit.settings import read
from portal.kit.web import Request, endpoint, page, render
from portal.search import api, pages
from portal.search.rules import SearchResult


def app() -> Starlette:
    """Return the portal with `/memory` (the page) and `/api/memory` (the JSON) of BENCH_QUERY, read once and kept."""
    made = create_app(read())
    kept: list[tuple[str, dict[str, Any]]] = []
    answers: list[dict[str, Any]] = []
    real_render, real_written = pages.render, api.written

    def watched(request: Request, name: str, **context: Any) -> Response:
        kept.append((name, {key: value for key, value in context.items() if key not in ("block", "status")}))
        return real_render(request, name, **context)

    def written(result: SearchResult) -> str:
        answers.append(json.loads(real_written(result)))
        return real_written(result)

    pages.render, api.written = watched, written  # type: ignore[assignment]  # the same calls, watched once
    with TestClient(made) as client:
        for path in ("/flights", "/api/flights/search"):
            client.get(f"{path}?{os.environ['BENCH_QUERY']}").raise_for_status()
    pages.render, api.written = real_render, real_written

    def from_memory(request: Request) -> Response:
        name, context = kept[0]
        return render(request, name, **context)

    def json_from_memory(request: Request) -> Response:
        return JSONResponse(answers[0])

    made.state.admit = lambda *_asked: None
    made.router.routes[:0] = [page("/memory", from_memory), endpoint("/api/memory", json_from_memory)]
    return made
