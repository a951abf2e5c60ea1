"""What comes in at tickets' doors."""

from __future__ import annotations

from pydantic import Field

from portal.kit.validation import Wire


class FileQuery(Wire):
    """How a program without an account or token shows that it may see a booking."""

    family_name: str | None = Field(None, min_length=1, max_length=60, description="of one traveller")
