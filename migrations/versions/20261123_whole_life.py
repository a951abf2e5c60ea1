"""A booking's whole life: price rules, promotions, seats, extras, amendments, ledger, check-in, carrier changes."""

from __future__ import annotations

revision = "20261123_whole_life"
down_revision = "20261123_first"
branch_labels = None
depends_on = None


def upgrade() -> None:

    pass


def downgrade() -> None:

    pass
