"""Every way that a traveller's own pages can say no by themselves."""

from __future__ import annotations

from portal.kit.errors import PortalError


class LinkLapsed(PortalError):
    """The mailed link is too old, was made for another address, or is none of ours."""

    status, code, title = 410, "link_lapsed", "This link has run out"
