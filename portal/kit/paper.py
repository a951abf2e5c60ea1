"""Paper: a template becomes an accessible PDF (PDF/UA-1: tagged, with language and title) in the house's own type.

Nothing is fetched while a document is made, whatever stands in it: the fonts are read from static/vendor/fonts when the
style sheet is, once a process, and the document itself may name nothing but `data:` of our own style sheet. The same
content gives the same bytes. Making one takes a tenth of a second and holds the GIL: workers do it, and pages only
when they must.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from typing import Any

from weasyprint import CSS, HTML
from weasyprint.text.fonts import FontConfiguration
from weasyprint.urls import URLFetcher, URLFetcherResponse

from portal.kit import i18n
from portal.kit.assets import STATIC
from portal.kit.ids import fingerprint
from portal.kit.settings import Settings
from portal.kit.web import templates

SHEET = STATIC / "css" / "pdf.css"
FONTS = STATIC / "vendor" / "fonts"


class Bundled(URLFetcher):  # type: ignore[misc]  # weasyprint has no types
    """Serves the bundled fonts by their exact addresses, and nothing else."""

    def __init__(self) -> None:
        super().__init__(allowed_protocols=frozenset(), allow_redirects=False)
        self._files = {path.as_uri(): path for path in FONTS.glob("*.woff2")}

    def fetch(self, url: str, headers: dict[str, str] | None = None) -> URLFetcherResponse:
        """Return the font at `url`; anything else is refused by the parent, which is allowed no protocol at all."""
        if url in self._files:
            return URLFetcherResponse(url, self._files[url].read_bytes(), {"Content-Type": "font/woff2"})
        return super().fetch(url, headers)


@dataclass(frozen=True, slots=True)
class Stationery:
    """What every document of a process shares: the style sheet and its fonts."""

    fonts: FontConfiguration
    sheet: CSS
    fetcher: URLFetcher


@lru_cache(maxsize=1)
def stationery() -> Stationery:
    """Return the process's style sheet, read with its fonts."""
    fonts = FontConfiguration()
    sheet = CSS(string=SHEET.read_text(), base_url=SHEET.as_uri(), font_config=fonts, url_fetcher=Bundled())
    return Stationery(fonts, sheet, URLFetcher(allowed_protocols={"data"}, allow_redirects=False))


def pdf(settings: Settings, template: str, *, made_at: datetime, locale: str = "en", **context: Any) -> bytes:
    """Return templates/pdf/<template>.html as a PDF in the reader's language; `made_at` stands in its metadata."""
    common = {"locale": locale, "brand_name": settings.email_from_name, "demo": settings.demo, "made_at": made_at}
    with i18n.speaking(locale):
        html = templates().get_template(f"pdf/{template}.html").render({**common, **context})
    kept = stationery()
    return bytes(
        HTML(string=html, url_fetcher=kept.fetcher).write_pdf(
            stylesheets=[kept.sheet],
            font_config=kept.fonts,
            pdf_variant="pdf/ua-1",
            pdf_identifier=fingerprint(html)[:32].encode(),
        )
    )


@lru_cache(maxsize=1)
def letters() -> frozenset[int]:
    """Return the code points that the text fonts can print."""
    from fontTools.ttLib import TTFont  # type: ignore[import-untyped]  # has no types; slow to load

    faces = ("atkinson-hyperlegible-next-latin-400-normal", "atkinson-hyperlegible-next-latin-ext-400-normal")
    files = (BytesIO((FONTS / f"{face}.woff2").read_bytes()) for face in faces)
    return frozenset(point for file in files for point in TTFont(file).getBestCmap())


def is_printable(text: str) -> bool:
    """True when every letter of `text` is in the bundled fonts, so that no box is printed for one that is not."""
    return all(ord(letter) in letters() for letter in text)
