"""Static files: each address carries the content's hash, so a browser may keep it for a year."""

from __future__ import annotations

import hashlib
import time
from functools import lru_cache
from pathlib import Path

from starlette.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from portal.kit.settings import ROOT

STATIC = ROOT / "static"


@lru_cache(maxsize=512)
def _hash(path: str, _modified: float) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


def asset(path: str) -> str:
    """Return the address of `static/<path>`; raises FileNotFoundError for a file that is not there."""
    return _address(path, int(time.monotonic()))


@lru_cache(maxsize=512)
def _address(path: str, _second: int) -> str:
    """Look at the file once a second at most: a page has a dozen of them."""
    return f"/static/{path}?v={_hash(path, (STATIC / path).stat().st_mtime)}"


class Assets(StaticFiles):
    """Serves static/; immutable for a year where the address carries a hash, an hour otherwise."""

    def __init__(self, directory: Path = STATIC) -> None:
        super().__init__(directory=directory)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Return the file with its cache header."""
        response = await super().get_response(path, scope)
        hashed = b"v=" in scope.get("query_string", b"")
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable" if hashed else "public, max-age=3600"
        return response
