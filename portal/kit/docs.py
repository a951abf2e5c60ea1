"""The API described: /api/openapi.json for programs."""

from __future__ import annotations

from starlette.responses import JSONResponse, Response

from portal.kit.openapi import document
from portal.kit.web import Request, endpoint


def openapi(request: Request) -> Response:
    """Return the OpenAPI 3.1 document of this very process."""
    described = document(request.app.routes, title="Flight portal API", version="1")
    return JSONResponse(described)


routes = [endpoint("/api/openapi.json", openapi)]
