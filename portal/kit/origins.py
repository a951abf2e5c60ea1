"""Which addresses are our own: those of BASE_URL and of ALLOWED_ORIGINS. Nobody is ever led to another."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from portal.kit.settings import Settings

# No spaces, controls or backslashes, which browsers read otherwise than we do, and no name before the host.
PLAIN = re.compile(r"https?://[^\s\\@/?#\[\]\x00-\x1f\x7f]+([/?#][^\s\\\x00-\x1f\x7f]*)?", re.ASCII)


def is_ours(settings: Settings, url: str) -> bool:
    """True for a whole address, scheme and host included, that people may be led to."""
    own = {_origin(one) for one in (settings.base_url, *settings.allowed_origins)}
    return PLAIN.fullmatch(url) is not None and _origin(url) in own


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}".lower()
