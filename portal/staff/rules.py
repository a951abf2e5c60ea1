"""How the back office groups and names what it shows; pure."""

from __future__ import annotations

from portal.kit import i18n
from portal.kit.i18n import gettext as _

# What staff look for → the states of letters that it means. The first is what the page opens with.
VIEWS: dict[str, tuple[str, ...]] = {
    "trouble": ("failed", "dead"),
    "waiting": ("waiting", "handed"),
    "running": ("running",),
    "done": ("done",),
    "dropped": ("dropped",),
}
MAY_RETRY = ("dead", "failed", "dropped")
MAY_DROP = ("dead", "failed")


def span(seconds: float) -> str:
    """Return a length of time in words, as exact as one needs it: `40 s`, `3 min`, `2 h 5 min`, `3 d`."""
    whole = max(0, int(seconds))
    if whole < 90:
        return _("%(seconds)d s") % {"seconds": whole}
    if whole < 172_800:
        return i18n.duration(whole // 60)
    return _("%(days)d d") % {"days": whole // 86_400}
