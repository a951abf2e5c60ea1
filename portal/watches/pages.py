"""Pages of waiting lists and fare alerts."""

from __future__ import annotations

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
