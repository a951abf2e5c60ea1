"""What the pages of prices refuse."""

from __future__ import annotations

from portal.kit.errors import Conflict, NotFound


class UnknownRow(NotFound):
    """No table of prices has this name, or no row in it this number."""

    code, title = "unknown_price", "There is no such price"


class UnknownPromotion(NotFound):
    """No promotion has this code."""

    code, title = "unknown_promotion", "There is no such promotion"


class CodeTaken(Conflict):
    """Another promotion has this code; what was sold with it still names it."""

    code, title = "code_taken", "This code was used before"
