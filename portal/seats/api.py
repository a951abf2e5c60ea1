"""The JSON doors of the seat map and the extras, before and after paying."""

from __future__ import annotations

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
