"""Every form is sent every field that any form has, each holding what is no character: no door breaks by it."""

from __future__ import annotations

import re

import pytest

from portal import access
from portal.kit.settings import ROOT
from tests.access.asking import Asker, address, told
from tests.access.test_every_door import expected

LITERAL = re.compile(r"""(?:name=|fields\.get\(|request\.fields\[|name == )["']([\w.]+)["']""")
SOURCES = (*(ROOT / "templates").rglob("*.html"), *(ROOT / "portal").rglob("*.py"))
FIELDS = sorted({name for path in SOURCES for name in LITERAL.findall(path.read_text())})
FORMS = [path for method, path in access.RULES if method == "POST" and not path.startswith(("/api/", "/webhooks/"))]
INSIDE = ("owner", "admin", "staff", "other")
# A NUL, and bytes that are no UTF-8: neither can be typed, and PostgreSQL takes neither.
ODD = {"nul": "A%00B", "half-a-pair": "%ED%A0%80", "cut-off": "%C3"}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_no_form_breaks_by_what_is_no_character(asker: Asker, odd: str) -> None:
    assert len(FIELDS) > 60
    body = "&".join(f"{name}={odd}" for name in FIELDS)
    broken = []
    for path in FORMS:
        who = next((one for one in INSIDE if expected("POST", path)[one] == "in"), "guest")
        asker.tidy()
        asker.client.cookies.clear()
        asker.client.cookies.update(asker.facts["cookies"].get(who, {}))
        sent = {"content-type": "application/x-www-form-urlencoded"}
        answer = asker.client.post(address(path, asker.facts), content=body, headers=sent)
        asker.changed |= told(answer) == "in" and answer.status_code < 400
        broken += [f"{path} as {who}"] if answer.status_code >= 500 else []
    assert broken == []
