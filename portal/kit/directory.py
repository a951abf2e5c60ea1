"""Finding the door for an address without knocking at every one: routes are shelved by the first two words of theirs.

There are hundreds of routes, and a router asks them one after the other. What an address leads to does not change: on
each shelf stand, in their order, all routes that could match an address that begins like that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from starlette.routing import BaseRoute, Mount, Route, Router
from starlette.types import Receive, Scope, Send

Words = tuple[str, ...]
DEPTH = 2


class Directory(Router):
    """A router over `routes`; routes put in later are found, too."""

    def __init__(self, routes: Sequence[BaseRoute], lifespan: Any) -> None:
        super().__init__(routes, lifespan=lifespan)
        self._shelves: dict[Words, Router] = {}
        self._shelved = -1

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on to the first route that matches."""
        if scope["type"] != "http" or scope.get("root_path"):
            await super().app(scope, receive, send)
            return
        scope.setdefault("router", self)
        await self._shelf(scope["path"]).app(scope, receive, send)

    def _shelf(self, path: str) -> Router:
        if self._shelved != len(self.routes):
            self._sort()
        words = tuple(path.split("/", DEPTH + 1)[1 : DEPTH + 1])
        found = (self._shelves.get(words[:count]) for count in range(len(words), -1, -1))
        return next(shelf for shelf in found if shelf is not None)

    def _sort(self) -> None:
        begins = [_fixed_words(route) for route in self.routes]
        shelves: set[Words] = {(), *(words[:count] for words in begins for count in range(1, DEPTH + 1))}
        self._shelves = {
            shelf: Router([one for one, words in zip(self.routes, begins, strict=True) if words == shelf[: len(words)]])
            for shelf in shelves
        }
        self._shelved = len(self.routes)


def _fixed_words(route: BaseRoute) -> Words:
    """Return the first words of every address that the route matches; none for a route that has its own way to match.

    A word in which a parameter stands is not fixed.
    """
    if type(route) not in (Route, Mount):
        return ()
    fixed, parameter, _ = route.path.partition("{")  # type: ignore[attr-defined]  # both have a path
    words = fixed.split("/")[1:]
    return tuple((words[:-1] if parameter else words)[:DEPTH])
