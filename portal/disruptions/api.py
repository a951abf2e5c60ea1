"""The JSON doors of carrier changes: staff steer flights, travellers answer."""

from __future__ import annotations

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
