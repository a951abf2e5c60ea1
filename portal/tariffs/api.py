"""The JSON doors of staff: price rules, promotions and extras, valid from–to, each change audited."""

from __future__ import annotations

from starlette.routing import BaseRoute

routes: list[BaseRoute] = []
