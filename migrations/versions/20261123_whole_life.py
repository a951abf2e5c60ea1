"""A booking's whole life: price rules, promotions, seats, extras, amendments, ledger, check-in, carrier changes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_whole_life"
down_revision = "20261123_first"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table payments drop constraint if exists ck_payments_method_known")
    op.execute("alter table payments drop constraint if exists ck_payments_state_known")
    op.create_table(
        "carrier_change_rules",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.CheckConstraint("kind in ('answer', 'refund', 'clock')", name=op.f("ck_carrier_change_rules_kind_known")),
        sa.CheckConstraint(
            "scope in ('any', 'domestic', 'international')", name=op.f("ck_carrier_change_rules_scope_known")
        ),
        sa.CheckConstraint("minutes > 0", name=op.f("ck_carrier_change_rules_minutes_positive")),
        sa.CheckConstraint("valid_to >= valid_from", name=op.f("ck_carrier_change_rules_days_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_carrier_change_rules")),
        sa.UniqueConstraint("kind", "scope", "valid_from", name=op.f("uq_carrier_change_rules_kind_scope_valid_from")),
    )
    op.create_table(
        "credits",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("code", sa.String(length=12), nullable=False),
        sa.Column("owner_email", sa.String(), nullable=True),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("remaining_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("payable", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("source in ('refund', 'goodwill')", name=op.f("ck_credits_source_known")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_credits_amount_positive")),
        sa.CheckConstraint("remaining_minor between 0 and amount_minor", name=op.f("ck_credits_never_overspent")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credits")),
        sa.UniqueConstraint("code", name=op.f("uq_credits_code")),
    )
    op.create_index(op.f("ix_credits_owner_email"), "credits", ["owner_email"], unique=False)
    op.create_index(op.f("ix_credits_payable"), "credits", ["payable"], unique=False)
    op.create_table(
        "extra_products",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("detail", sa.String(), nullable=False),
        sa.Column("per", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("most", sa.Integer(), server_default="1", nullable=False),
        sa.Column("cabins", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("travellers", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("included_cabins", sa.ARRAY(sa.String()), server_default="{}", nullable=False),
        sa.Column("included_brands", sa.ARRAY(sa.String()), server_default="{}", nullable=False),
        sa.Column("hours_before", sa.Integer(), server_default="0", nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint(
            "kind <> 'assistance' or amount_minor = 0", name=op.f("ck_extra_products_assistance_is_never_priced")
        ),
        sa.CheckConstraint(
            "kind in ('bag', 'meal', 'priority', 'insurance', 'assistance')", name=op.f("ck_extra_products_kind_known")
        ),
        sa.CheckConstraint("per in ('slice', 'flight', 'trip')", name=op.f("ck_extra_products_per_known")),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_extra_products_amount_not_negative")),
        sa.CheckConstraint("hours_before >= 0", name=op.f("ck_extra_products_hours_not_negative")),
        sa.CheckConstraint("most between 1 and 9", name=op.f("ck_extra_products_most_sensible")),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name=op.f("ck_extra_products_valid_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_extra_products")),
        sa.UniqueConstraint("key", name=op.f("uq_extra_products_key")),
    )
    op.create_index("ix_extra_products_code", "extra_products", ["code", "currency"], unique=False)
    op.create_table(
        "fare_classes",
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("letter", sa.String(length=1), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("factor_bp", sa.Integer(), nullable=False),
        sa.Column("demand_bp", sa.Integer(), nullable=False),
        sa.Column("sigma_bp", sa.Integer(), nullable=False),
        sa.Column("booking_days", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_fare_classes_cabin_known")
        ),
        sa.CheckConstraint("letter ~ '^[A-Z]$'", name=op.f("ck_fare_classes_letter_is_one")),
        sa.CheckConstraint(
            "demand_bp >= 0 and sigma_bp >= 0 and booking_days > 0", name=op.f("ck_fare_classes_demand_believable")
        ),
        sa.CheckConstraint("factor_bp between 1000 and 100000", name=op.f("ck_fare_classes_factor_believable")),
        sa.PrimaryKeyConstraint("cabin", "letter", name=op.f("pk_fare_classes")),
        sa.UniqueConstraint("cabin", "position", name=op.f("uq_fare_classes_cabin_position")),
    )
    op.create_table(
        "fare_rules",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("code", sa.String(length=2), server_default="", nullable=False),
        sa.Column("factor_bp", sa.Integer(), nullable=False),
        sa.Column("low", sa.Integer(), nullable=True),
        sa.Column("high", sa.Integer(), nullable=True),
        sa.Column("origin", sa.String(length=3), nullable=True),
        sa.Column("destination", sa.String(length=3), nullable=True),
        sa.Column("cabin", sa.String(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint(
            "cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_fare_rules_cabin_known")
        ),
        sa.CheckConstraint("code ~ '^[A-Z0-9]{0,2}$'", name=op.f("ck_fare_rules_code_short")),
        sa.CheckConstraint(
            "kind <> 'load' or (high is null and origin is null and destination is null and low between 0 and 10000)",
            name=op.f("ck_fare_rules_load_for_cabins"),
        ),
        sa.CheckConstraint(
            "kind <> 'route' or num_nonnulls(origin, destination) > 0", name=op.f("ck_fare_rules_route_goes_somewhere")
        ),
        sa.CheckConstraint(
            "kind <> 'season' or (low between 101 and 1231 and high between 101 and 1231)",
            name=op.f("ck_fare_rules_season_of_the_year"),
        ),
        sa.CheckConstraint(
            "kind <> 'weekday' or (low between 1 and 7 and high between 1 and 7)",
            name=op.f("ck_fare_rules_weekday_of_seven"),
        ),
        sa.CheckConstraint("kind = 'route' or low is not null", name=op.f("ck_fare_rules_begins_somewhere")),
        sa.CheckConstraint(
            "kind = 'season' or high is null or high >= low", name=op.f("ck_fare_rules_bounds_in_order")
        ),
        sa.CheckConstraint(
            "kind in ('route', 'season', 'holiday', 'weekday', 'advance', 'load')",
            name=op.f("ck_fare_rules_kind_known"),
        ),
        sa.CheckConstraint(
            "kind not in ('season', 'holiday', 'weekday') or high is not null",
            name=op.f("ck_fare_rules_ends_somewhere"),
        ),
        sa.CheckConstraint("factor_bp between 1000 and 100000", name=op.f("ck_fare_rules_factor_believable")),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name=op.f("ck_fare_rules_valid_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fare_rules")),
        sa.UniqueConstraint("key", name=op.f("uq_fare_rules_key")),
    )
    op.create_table(
        "gateway_events",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("about", sa.String(), nullable=True),
        sa.Column("received_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_gateway_events")),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("payable", sa.Uuid(), nullable=True),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("credit_id", sa.Uuid(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_ledger_entries")),
        sa.UniqueConstraint("key", name=op.f("uq_ledger_entries_key")),
    )
    op.create_index(op.f("ix_ledger_entries_happened_at"), "ledger_entries", ["happened_at"], unique=False)
    op.create_index(op.f("ix_ledger_entries_payable"), "ledger_entries", ["payable"], unique=False)
    op.create_table(
        "paper_series",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("last", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint("last >= 0", name=op.f("ck_paper_series_last_not_negative")),
        sa.PrimaryKeyConstraint("kind", "year", name=op.f("pk_paper_series")),
    )
    op.create_table(
        "promotions",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("minimum_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("cap_minor", sa.Integer(), nullable=True),
        sa.Column("sale_from", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sale_to", sa.DateTime(timezone=True), nullable=True),
        sa.Column("travel_from", sa.Date(), nullable=True),
        sa.Column("travel_to", sa.Date(), nullable=True),
        sa.Column("routes", sa.ARRAY(sa.String(length=7)), nullable=True),
        sa.Column("brands", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("cabins", sa.ARRAY(sa.String()), nullable=True),
        sa.Column("total_uses", sa.Integer(), nullable=True),
        sa.Column("per_customer", sa.Integer(), nullable=True),
        sa.Column("used", sa.Integer(), server_default="0", nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "amount > 0 and (kind <> 'percent' or amount <= 10000)", name=op.f("ck_promotions_amount_sensible")
        ),
        sa.CheckConstraint("code ~ '^[A-Z0-9][A-Z0-9-]{2,19}$'", name=op.f("ck_promotions_code_readable")),
        sa.CheckConstraint("kind in ('percent', 'amount')", name=op.f("ck_promotions_kind_known")),
        sa.CheckConstraint("minimum_minor >= 0 and cap_minor > 0", name=op.f("ck_promotions_limits_sensible")),
        sa.CheckConstraint("sale_to is null or sale_to > sale_from", name=op.f("ck_promotions_sale_in_order")),
        sa.CheckConstraint("total_uses > 0 and per_customer > 0", name=op.f("ck_promotions_uses_positive")),
        sa.CheckConstraint(
            "travel_to is null or travel_from is null or travel_to >= travel_from",
            name=op.f("ck_promotions_travel_in_order"),
        ),
        sa.CheckConstraint(
            "used >= 0 and (total_uses is null or used <= total_uses)", name=op.f("ck_promotions_never_overused")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotions")),
        sa.UniqueConstraint("code", name=op.f("uq_promotions_code")),
    )
    op.create_table(
        "seat_prices",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("feature", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint(
            "cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_seat_prices_cabin_known")
        ),
        sa.CheckConstraint(
            "feature in ('any', 'window', 'middle', 'aisle', 'front', 'legroom', 'exit')",
            name=op.f("ck_seat_prices_feature_known"),
        ),
        sa.CheckConstraint("amount_minor >= 0", name=op.f("ck_seat_prices_amount_not_negative")),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name=op.f("ck_seat_prices_valid_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seat_prices")),
        sa.UniqueConstraint("key", name=op.f("uq_seat_prices_key")),
    )
    op.create_index("ix_seat_prices_cabin", "seat_prices", ["cabin", "currency"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("first_on", sa.Date(), nullable=False),
        sa.Column("last_on", sa.Date(), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("adults", sa.Integer(), nullable=False),
        sa.Column("children", sa.Integer(), nullable=False),
        sa.Column("infants", sa.Integer(), nullable=False),
        sa.Column("below_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("armed", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("told_minor", sa.Integer(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("checked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_alerts_cabin_known")),
        sa.CheckConstraint("state in ('pending', 'active', 'over', 'left')", name=op.f("ck_alerts_state_known")),
        sa.CheckConstraint(
            "adults >= 1 and children >= 0 and infants between 0 and adults", name=op.f("ck_alerts_party_possible")
        ),
        sa.CheckConstraint("below_minor > 0", name=op.f("ck_alerts_below_positive")),
        sa.CheckConstraint("first_on <= last_on and last_on <= first_on + 31", name=op.f("ck_alerts_a_month_at_most")),
        sa.CheckConstraint("origin <> destination", name=op.f("ck_alerts_goes_somewhere")),
        sa.ForeignKeyConstraint(["destination"], ["airports.code"], name=op.f("fk_alerts_destination")),
        sa.ForeignKeyConstraint(["origin"], ["airports.code"], name=op.f("fk_alerts_origin")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_alerts_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alerts")),
    )
    op.create_index(
        "ix_alerts_due", "alerts", ["checked_at"], unique=False, postgresql_where=sa.text("state = 'active'")
    )
    op.create_index("ix_alerts_user_id", "alerts", ["user_id"], unique=False)
    op.create_index(
        "uq_alerts_once",
        "alerts",
        [
            sa.literal_column("lower(email)"),
            "origin",
            "destination",
            "first_on",
            "last_on",
            "cabin",
            "adults",
            "children",
            "infants",
        ],
        unique=True,
        postgresql_where=sa.text("state in ('pending', 'active')"),
    )
    op.create_table(
        "favourite_routes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("origin <> destination", name=op.f("ck_favourite_routes_goes_somewhere")),
        sa.ForeignKeyConstraint(["destination"], ["airports.code"], name=op.f("fk_favourite_routes_destination")),
        sa.ForeignKeyConstraint(["origin"], ["airports.code"], name=op.f("fk_favourite_routes_origin")),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_favourite_routes_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("user_id", "origin", "destination", name=op.f("pk_favourite_routes")),
    )
    op.create_table(
        "ledger_lines",
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("account", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.CheckConstraint("amount_minor <> 0", name=op.f("ck_ledger_lines_amount_not_zero")),
        sa.CheckConstraint("position >= 0", name=op.f("ck_ledger_lines_position_counted")),
        sa.ForeignKeyConstraint(["entry_id"], ["ledger_entries.id"], name=op.f("fk_ledger_lines_entry_id")),
        sa.PrimaryKeyConstraint("entry_id", "position", name=op.f("pk_ledger_lines")),
    )
    op.create_index("ix_ledger_lines_account", "ledger_lines", ["account", "currency"], unique=False)
    op.create_table(
        "preferences",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("home_airport", sa.String(length=3), nullable=True),
        sa.Column("seat", sa.String(), nullable=True),
        sa.Column("meal", sa.String(), nullable=True),
        sa.Column("language", sa.String(), nullable=True),
        sa.Column("muted", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "meal in ('VGML', 'VLML', 'MOML', 'KSML', 'GFML', 'DBML', 'CHML')", name=op.f("ck_preferences_meal_known")
        ),
        sa.CheckConstraint("seat in ('window', 'aisle')", name=op.f("ck_preferences_seat_known")),
        sa.ForeignKeyConstraint(["home_airport"], ["airports.code"], name=op.f("fk_preferences_home_airport")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_preferences_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_preferences")),
    )
    op.create_table(
        "promotion_uses",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("promotion_id", sa.Integer(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("customer", sa.String(), nullable=True),
        sa.Column("slot", sa.Integer(), server_default="1", nullable=False),
        sa.Column("state", sa.String(), server_default="held", nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("taken_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('held', 'used', 'returned')", name=op.f("ck_promotion_uses_state_known")),
        sa.CheckConstraint("amount_minor >= 0 and slot > 0", name=op.f("ck_promotion_uses_amounts_sensible")),
        sa.ForeignKeyConstraint(["promotion_id"], ["promotions.id"], name=op.f("fk_promotion_uses_promotion_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_promotion_uses")),
    )
    op.create_index(
        "ix_promotion_uses_held",
        "promotion_uses",
        ["promotion_id"],
        unique=False,
        postgresql_where=sa.text("state = 'held'"),
    )
    op.create_index("ix_promotion_uses_holder", "promotion_uses", ["holder"], unique=False)
    op.create_index(
        "uq_promotion_uses_holder",
        "promotion_uses",
        ["holder"],
        unique=True,
        postgresql_where=sa.text("state <> 'returned'"),
    )
    op.create_index(
        "uq_promotion_uses_slot",
        "promotion_uses",
        ["promotion_id", "customer", "slot"],
        unique=True,
        postgresql_where=sa.text("state <> 'returned' and customer is not null"),
    )
    op.create_table(
        "saved_travellers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("given_name", sa.String(), nullable=False),
        sa.Column("family_name", sa.String(), nullable=False),
        sa.Column("date_of_birth", sa.Date(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_saved_travellers_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_travellers")),
    )
    op.create_index(
        "ix_saved_travellers_user_id_created_at", "saved_travellers", ["user_id", "created_at"], unique=False
    )
    op.create_table(
        "amendments",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="quoted", nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("lines", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
        sa.Column("due_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("paid_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refund_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("penalty_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("refund_to", sa.String(), server_default="original", nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=True),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'done') = (done_at is not null)", name=op.f("ck_amendments_done_has_instant")),
        sa.CheckConstraint(
            "kind in ('items', 'change', 'cancellation', 'correction', 'contact', 'carrier')",
            name=op.f("ck_amendments_kind_known"),
        ),
        sa.CheckConstraint("refund_to in ('original', 'credit')", name=op.f("ck_amendments_refund_way_known")),
        sa.CheckConstraint("state <> 'done' or paid_minor = due_minor", name=op.f("ck_amendments_done_is_paid")),
        sa.CheckConstraint(
            "state in ('quoted', 'paying', 'done', 'lapsed', 'withdrawn')", name=op.f("ck_amendments_state_known")
        ),
        sa.CheckConstraint("due_minor = 0 or refund_minor = 0", name=op.f("ck_amendments_due_or_back")),
        sa.CheckConstraint(
            "due_minor >= 0 and refund_minor >= 0 and penalty_minor >= 0", name=op.f("ck_amendments_money_not_negative")
        ),
        sa.CheckConstraint("paid_minor between 0 and due_minor", name=op.f("ck_amendments_never_overpaid")),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_amendments_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_amendments")),
        sa.UniqueConstraint("booking_id", "number", name=op.f("uq_amendments_booking_id_number")),
    )
    op.create_index(
        "ix_amendments_lapsing",
        "amendments",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state in ('quoted', 'paying')"),
    )
    op.create_index("uq_amendments_idempotency_key", "amendments", ["booking_id", "idempotency_key"], unique=True)
    op.create_index(
        "uq_amendments_paying", "amendments", ["booking_id"], unique=True, postgresql_where=sa.text("state = 'paying'")
    )
    op.create_table(
        "boardings",
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("last_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("last_sequence between 0 and 9999", name=op.f("ck_boardings_sequence_fits_a_pass")),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_boardings_flight_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("flight_id", name=op.f("pk_boardings")),
    )
    op.create_table(
        "disruptions",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("made_by", sa.Uuid(), nullable=True),
        sa.Column("made_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("state", sa.String(), server_default="draft", nullable=False),
        sa.Column("announced_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "(state = 'announced') = (announced_at is not null)", name=op.f("ck_disruptions_announced_has_instant")
        ),
        sa.CheckConstraint("kind in ('delay', 'retime', 'cancel', 'swap')", name=op.f("ck_disruptions_kind_known")),
        sa.CheckConstraint("state in ('draft', 'announced')", name=op.f("ck_disruptions_state_known")),
        sa.ForeignKeyConstraint(
            ["flight_id"], ["flights.id"], name=op.f("fk_disruptions_flight_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_disruptions")),
    )
    op.create_index("ix_disruptions_flight_id", "disruptions", ["flight_id"], unique=False)
    op.create_index("ix_disruptions_made_at", "disruptions", ["made_at"], unique=False)
    op.create_table(
        "waits",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("place", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=True),
        sa.Column("adults", sa.Integer(), nullable=False),
        sa.Column("children", sa.Integer(), nullable=False),
        sa.Column("infants", sa.Integer(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("offered_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_waits_cabin_known")),
        sa.CheckConstraint(
            "state in ('waiting', 'lapsed', 'left') or offered_at is not null", name=op.f("ck_waits_offered_has_time")
        ),
        sa.CheckConstraint(
            "state in ('waiting', 'offered', 'taken', 'lapsed', 'left')", name=op.f("ck_waits_state_known")
        ),
        sa.CheckConstraint("adults + children <= 9", name=op.f("ck_waits_party_fits_a_booking")),
        sa.CheckConstraint(
            "adults >= 1 and children >= 0 and infants between 0 and adults", name=op.f("ck_waits_party_possible")
        ),
        sa.ForeignKeyConstraint(["booking_id"], ["bookings.id"], name=op.f("fk_waits_booking_id"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_waits_flight_id"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_waits_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_waits")),
        sa.UniqueConstraint("booking_id", name=op.f("uq_waits_booking_id")),
    )
    op.create_index(
        "ix_waits_line",
        "waits",
        ["flight_id", "cabin", "place"],
        unique=False,
        postgresql_where=sa.text("state = 'waiting'"),
    )
    op.create_index("ix_waits_user_id", "waits", ["user_id"], unique=False)
    op.create_index(
        "uq_waits_once",
        "waits",
        ["flight_id", "cabin", sa.literal_column("lower(email)")],
        unique=True,
        postgresql_where=sa.text("state in ('waiting', 'offered')"),
    )
    op.create_table(
        "affected_bookings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("disruption_id", sa.Uuid(), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("slice_position", sa.Integer(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.Column("shift_minutes", sa.Integer(), nullable=False),
        sa.Column("by_right", sa.Boolean(), nullable=False),
        sa.Column("needs_answer", sa.Boolean(), nullable=False),
        sa.Column("state", sa.String(), server_default="noted", nullable=False),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("remind_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("reminders", sa.Integer(), server_default="0", nullable=False),
        sa.Column("refund_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by", sa.Uuid(), nullable=True),
        sa.Column("amendment_id", sa.Uuid(), nullable=True),
        sa.CheckConstraint(
            "(state in ('noted', 'told')) = (decided_at is null)", name=op.f("ck_affected_bookings_decided_has_instant")
        ),
        sa.CheckConstraint(
            "state <> 'told' or told_at is not null", name=op.f("ck_affected_bookings_told_has_instant")
        ),
        sa.CheckConstraint(
            "state in ('noted', 'told', 'accepted', 'rebooked', 'refunded', 'lapsed')",
            name=op.f("ck_affected_bookings_state_known"),
        ),
        sa.CheckConstraint(
            "why in ('cancelled', 'misconnected', 'no_seat', 'retimed', 'delayed', 'swapped')",
            name=op.f("ck_affected_bookings_why_known"),
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_affected_bookings_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["disruption_id"], ["disruptions.id"], name=op.f("fk_affected_bookings_disruption_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_affected_bookings")),
        sa.UniqueConstraint("disruption_id", "booking_id", name=op.f("uq_affected_bookings_disruption_id_booking_id")),
    )
    op.create_index("ix_affected_bookings_booking_id", "affected_bookings", ["booking_id"], unique=False)
    op.create_index(
        "ix_affected_bookings_open",
        "affected_bookings",
        ["booking_id"],
        unique=False,
        postgresql_where=sa.text("state in ('noted', 'told')"),
    )
    op.create_index(
        "ix_affected_bookings_refund_at",
        "affected_bookings",
        ["refund_at"],
        unique=False,
        postgresql_where=sa.text("state = 'told'"),
    )
    op.create_index(
        "ix_affected_bookings_remind_at",
        "affected_bookings",
        ["remind_at"],
        unique=False,
        postgresql_where=sa.text("state = 'told'"),
    )
    op.create_table(
        "booking_items",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("amendment_id", sa.Uuid(), nullable=True),
        sa.Column("passenger_id", sa.Uuid(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("quantity", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("seat", sa.String(), nullable=True),
        sa.Column("state", sa.String(), server_default="active", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "kind in ('seat', 'bag', 'meal', 'priority', 'insurance', 'assistance')",
            name=op.f("ck_booking_items_kind_known"),
        ),
        sa.CheckConstraint("state in ('active', 'cancelled')", name=op.f("ck_booking_items_state_known")),
        sa.CheckConstraint("quantity > 0 and amount_minor >= 0", name=op.f("ck_booking_items_amounts_sensible")),
        sa.ForeignKeyConstraint(
            ["amendment_id"], ["amendments.id"], name=op.f("fk_booking_items_amendment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_items_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_booking_items_flight_id")),
        sa.ForeignKeyConstraint(
            ["passenger_id"], ["passengers.id"], name=op.f("fk_booking_items_passenger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_booking_items")),
    )
    op.create_index("ix_booking_items_booking_id", "booking_items", ["booking_id"], unique=False)
    op.create_index("ix_booking_items_flight_id", "booking_items", ["flight_id"], unique=False)
    op.create_table(
        "credit_moves",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("credit_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=True),
        sa.Column("refund_id", sa.Uuid(), nullable=True),
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('issued', 'used', 'given_back')", name=op.f("ck_credit_moves_kind_known")),
        sa.ForeignKeyConstraint(["credit_id"], ["credits.id"], name=op.f("fk_credit_moves_credit_id")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_credit_moves_payment_id")),
        sa.ForeignKeyConstraint(["refund_id"], ["refunds.id"], name=op.f("fk_credit_moves_refund_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_credit_moves")),
    )
    op.create_index(op.f("ix_credit_moves_credit_id"), "credit_moves", ["credit_id"], unique=False)
    op.create_table(
        "named_seats",
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("seat", sa.String(length=4), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("occupant", sa.Uuid(), nullable=False),
        sa.Column("tentative_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column("successor", sa.Uuid(), nullable=True),
        sa.Column("chosen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("seat ~ '^[0-9]{1,2}[A-Z]$'", name=op.f("ck_named_seats_seat_readable")),
        sa.CheckConstraint(
            "successor is null or tentative_until is null", name=op.f("ck_named_seats_only_a_firm_seat_is_handed_on")
        ),
        sa.ForeignKeyConstraint(
            ["flight_id"], ["flights.id"], name=op.f("fk_named_seats_flight_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["holder", "flight_id", "cabin"],
            ["seat_claims.holder", "seat_claims.flight_id", "seat_claims.cabin"],
            name=op.f("fk_named_seats_holder_flight_id_cabin"),
            onupdate="CASCADE",
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("flight_id", "seat", name=op.f("pk_named_seats")),
    )
    op.create_index("ix_named_seats_holder", "named_seats", ["holder", "flight_id", "cabin"], unique=False)
    op.create_index(
        "uq_named_seats_firm",
        "named_seats",
        ["flight_id", "occupant"],
        unique=True,
        postgresql_where=sa.text("tentative_until is null"),
    )
    op.create_index(
        "uq_named_seats_tentative",
        "named_seats",
        ["flight_id", "occupant"],
        unique=True,
        postgresql_where=sa.text("tentative_until is not null"),
    )
    op.create_table(
        "sale_papers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("amendment_id", sa.Uuid(), nullable=True),
        sa.Column("refers_to", sa.Uuid(), nullable=True),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=False),
        sa.Column("serial", sa.Integer(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.Integer(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('receipt', 'credit_note')", name=op.f("ck_sale_papers_kind_known")),
        sa.CheckConstraint("serial > 0", name=op.f("ck_sale_papers_serial_positive")),
        sa.ForeignKeyConstraint(
            ["amendment_id"], ["amendments.id"], name=op.f("fk_sale_papers_amendment_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_sale_papers_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["refers_to"], ["sale_papers.id"], name=op.f("fk_sale_papers_refers_to"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sale_papers")),
        sa.UniqueConstraint("kind", "year", "serial", name=op.f("uq_sale_papers_kind_year_serial")),
        sa.UniqueConstraint("number", name=op.f("uq_sale_papers_number")),
    )
    op.create_index("ix_sale_papers_booking_id", "sale_papers", ["booking_id"], unique=False)
    op.create_index("uq_sale_papers_amendment_id", "sale_papers", ["amendment_id"], unique=True)
    op.create_index(
        "uq_sale_papers_sale",
        "sale_papers",
        ["booking_id"],
        unique=True,
        postgresql_where=sa.text("amendment_id is null"),
    )
    op.create_table(
        "travel_documents",
        sa.Column("passenger_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("number", sa.String(), nullable=False),
        sa.Column("nationality", sa.String(length=2), nullable=False),
        sa.Column("issuing_country", sa.String(length=2), nullable=False),
        sa.Column("expires_on", sa.Date(), nullable=False),
        sa.Column("sex", sa.String(length=1), nullable=False),
        sa.Column("given_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "nationality ~ '^[A-Z]{2}$' and issuing_country ~ '^[A-Z]{2}$'",
            name=op.f("ck_travel_documents_countries_by_code"),
        ),
        sa.CheckConstraint("number ~ '^[A-Z0-9]{4,20}$'", name=op.f("ck_travel_documents_number_readable")),
        sa.CheckConstraint("sex in ('F', 'M', 'X')", name=op.f("ck_travel_documents_sex_known")),
        sa.CheckConstraint("type in ('passport', 'identity_card')", name=op.f("ck_travel_documents_type_known")),
        sa.ForeignKeyConstraint(
            ["passenger_id"], ["passengers.id"], name=op.f("fk_travel_documents_passenger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("passenger_id", name=op.f("pk_travel_documents")),
    )
    op.create_table(
        "check_ins",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("ticket_number", sa.String(length=13), nullable=False),
        sa.Column("coupon_position", sa.Integer(), nullable=False),
        sa.Column("passenger_id", sa.Uuid(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("sequence_number", sa.Integer(), nullable=False),
        sa.Column("seat", sa.String(length=4), nullable=True),
        sa.Column("source", sa.String(length=1), server_default="W", nullable=False),
        sa.Column("checked_in_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("checked_in_by", sa.Uuid(), nullable=True),
        sa.Column("boarded_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("boarded_by", sa.Uuid(), nullable=True),
        sa.CheckConstraint("boarded_at >= checked_in_at", name=op.f("ck_check_ins_boarded_after_check_in")),
        sa.CheckConstraint("sequence_number between 1 and 9999", name=op.f("ck_check_ins_sequence_fits_a_pass")),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_check_ins_flight_id")),
        sa.ForeignKeyConstraint(
            ["passenger_id"], ["passengers.id"], name=op.f("fk_check_ins_passenger_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["ticket_number", "coupon_position"],
            ["coupons.ticket_number", "coupons.position"],
            name=op.f("fk_check_ins_ticket_number_coupon_position"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_check_ins")),
        sa.UniqueConstraint("flight_id", "passenger_id", name=op.f("uq_check_ins_flight_id_passenger_id")),
        sa.UniqueConstraint("flight_id", "sequence_number", name=op.f("uq_check_ins_flight_id_sequence_number")),
        sa.UniqueConstraint(
            "ticket_number", "coupon_position", name=op.f("uq_check_ins_ticket_number_coupon_position")
        ),
    )
    op.create_index("ix_check_ins_passenger_id", "check_ins", ["passenger_id"], unique=False)
    op.create_table(
        "no_shows",
        sa.Column("ticket_number", sa.String(length=13), nullable=False),
        sa.Column("coupon_position", sa.Integer(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_no_shows_flight_id")),
        sa.ForeignKeyConstraint(
            ["ticket_number", "coupon_position"],
            ["coupons.ticket_number", "coupons.position"],
            name=op.f("fk_no_shows_ticket_number_coupon_position"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("ticket_number", "coupon_position", name=op.f("pk_no_shows")),
    )
    op.create_index("ix_no_shows_flight_id", "no_shows", ["flight_id"], unique=False)
    op.add_column("booking_slices", sa.Column("fare_basis", sa.String(), server_default="", nullable=False))
    op.add_column(
        "booking_slices",
        sa.Column("pricing", postgresql.JSONB(astext_type=sa.Text()), server_default="[]", nullable=False),
    )
    op.add_column("booking_slices", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("charges", sa.Column("amendment_id", sa.Uuid(), nullable=True))
    op.add_column("charges", sa.Column("item_id", sa.Uuid(), nullable=True))
    op.create_index(
        "ix_charges_amendment_id",
        "charges",
        ["amendment_id"],
        unique=False,
        postgresql_where=sa.text("amendment_id is not null"),
    )
    op.create_index(
        "ix_charges_item_id", "charges", ["item_id"], unique=False, postgresql_where=sa.text("item_id is not null")
    )
    op.create_foreign_key(
        op.f("fk_charges_amendment_id"), "charges", "amendments", ["amendment_id"], ["id"], ondelete="CASCADE"
    )
    op.create_foreign_key(
        op.f("fk_charges_item_id"), "charges", "booking_items", ["item_id"], ["id"], ondelete="CASCADE"
    )
    op.add_column("documents", sa.Column("amendment_id", sa.Uuid(), nullable=True))
    op.add_column("documents", sa.Column("paper_id", sa.Uuid(), nullable=True))
    op.create_index(
        "uq_documents_paper_id",
        "documents",
        ["paper_id"],
        unique=True,
        postgresql_where=sa.text("paper_id is not null"),
    )
    op.create_foreign_key(
        op.f("fk_documents_paper_id"), "documents", "sale_papers", ["paper_id"], ["id"], ondelete="CASCADE"
    )
    op.create_foreign_key(
        op.f("fk_documents_amendment_id"), "documents", "amendments", ["amendment_id"], ["id"], ondelete="CASCADE"
    )
    op.add_column("flight_cabins", sa.Column("closed_at_sold", sa.Integer(), nullable=True))
    op.add_column(
        "flight_cabins", sa.Column("protections", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False)
    )
    op.add_column("flights", sa.Column("estimated_departure_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("flights", sa.Column("estimated_arrival_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("flights", sa.Column("sale_closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("flights", sa.Column("steered_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("passengers", sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("payments", sa.Column("purpose", sa.Uuid(), nullable=True))
    op.add_column("payments", sa.Column("told_minor", sa.Integer(), nullable=True))
    op.add_column("payments", sa.Column("told_currency", sa.String(length=3), nullable=True))
    op.add_column("payments", sa.Column("credit_id", sa.Uuid(), nullable=True))
    op.create_foreign_key(op.f("fk_payments_credit_id"), "payments", "credits", ["credit_id"], ["id"])
    op.add_column("refunds", sa.Column("way", sa.String(), server_default="original", nullable=False))
    op.add_column("refunds", sa.Column("credit_id", sa.Uuid(), nullable=True))
    op.add_column("refunds", sa.Column("problem", sa.String(), nullable=True))
    op.add_column("refunds", sa.Column("round", sa.Integer(), server_default="0", nullable=False))
    op.add_column("refunds", sa.Column("tries", sa.Integer(), server_default="0", nullable=False))
    op.create_index(
        "ix_refunds_open", "refunds", ["created_at"], unique=False, postgresql_where=sa.text("state <> 'succeeded'")
    )
    op.create_foreign_key(op.f("fk_refunds_credit_id"), "refunds", "credits", ["credit_id"], ["id"])
    op.add_column("tickets", sa.Column("status", sa.String(), server_default="open", nullable=False))
    op.add_column("tickets", sa.Column("in_exchange_for", sa.String(length=13), nullable=True))
    op.drop_constraint(op.f("uq_tickets_passenger_id"), "tickets", type_="unique")
    op.create_index("ix_tickets_passenger_id", "tickets", ["passenger_id"], unique=False)
    op.create_index(
        "uq_tickets_open", "tickets", ["passenger_id"], unique=True, postgresql_where=sa.text("status = 'open'")
    )
    op.create_foreign_key(
        op.f("fk_tickets_in_exchange_for"), "tickets", "tickets", ["in_exchange_for"], ["number"], ondelete="CASCADE"
    )
    op.execute(
        """alter table flight_cabins add constraint ck_flight_cabins_never_sold_once_closed CHECK ((sold <= closed_at_sold))"""
    )
    op.execute(
        """alter table flights add constraint ck_flights_estimates_in_order CHECK ((estimated_arrival_at > estimated_departure_at))"""
    )
    op.execute(
        """alter table flights add constraint ck_flights_estimates_in_pairs CHECK (((estimated_departure_at IS NULL) = (estimated_arrival_at IS NULL)))"""
    )
    op.execute(
        """alter table payments add constraint ck_payments_credit_is_named CHECK ((((method)::text = 'credit'::text) = (credit_id IS NOT NULL)))"""
    )
    op.execute(
        """alter table payments add constraint ck_payments_method_known CHECK (((method)::text = ANY ((ARRAY['page'::character varying, 'card'::character varying, 'credit'::character varying])::text[])))"""
    )
    op.execute(
        """alter table payments add constraint ck_payments_review_names_the_sum CHECK ((((state)::text = 'under_review'::text) = (told_minor IS NOT NULL)))"""
    )
    op.execute(
        """alter table payments add constraint ck_payments_state_known CHECK (((state)::text = ANY ((ARRAY['pending'::character varying, 'action_required'::character varying, 'succeeded'::character varying, 'declined'::character varying, 'abandoned'::character varying, 'under_review'::character varying])::text[])))"""
    )
    op.execute(
        """alter table refunds add constraint ck_refunds_way_known CHECK (((way)::text = ANY ((ARRAY['original'::character varying, 'credit'::character varying])::text[])))"""
    )
    op.execute(
        """alter table tickets add constraint ck_tickets_status_known CHECK (((status)::text = ANY ((ARRAY['open'::character varying, 'exchanged'::character varying, 'refunded'::character varying, 'void'::character varying])::text[])))"""
    )
    op.execute("""
    create function drop_check_in() returns trigger language plpgsql as $$
    begin
        delete from check_ins
        where ticket_number = new.ticket_number and coupon_position = new.position and boarded_at is null;
        return null;
    end $$
    """)
    op.execute("""
    -- A pass is good only as long as its coupon: who is refunded or rebooked by the carrier is no longer checked in.
    create trigger coupons_drop_check_in after update of status on coupons
        for each row when (old.status = 'checked_in' and new.status in ('refunded', 'void'))
        execute function drop_check_in()
    """)
    op.execute("""
insert into carrier_change_rules (kind, scope, minutes, source, valid_from) values
    ('refund', 'domestic', 180, '14 CFR 260.2, significantly delayed or changed flight, (1) and (2)', '2024-10-28'),
    ('refund', 'international', 360, '14 CFR 260.2, significantly delayed or changed flight, (1) and (2)', '2024-10-28'),
    ('answer', 'any', 60, 'Conditions of carriage: below an hour nothing is asked', '2024-10-28'),
    ('clock', 'any', 10080, 'Conditions of carriage, as 14 CFR 260.6 lets the carrier set: seven days', '2024-10-28')
    """)
    op.execute("""
create function ledger_entry_balances() returns trigger language plpgsql as $$
declare
    told jsonb := to_jsonb(new);
    entry bigint := coalesce(told ->> 'entry_id', told ->> 'id');
begin
    if exists (
        select from ledger_lines where entry_id = entry group by currency having sum(amount_minor) <> 0
    ) or (select count(*) from ledger_lines where entry_id = entry and position in (0, 1)) < 2 then
        raise exception 'ledger entry % does not add up to nothing', entry using errcode = 'check_violation';
    end if;
    return null;
end $$
    """)
    op.execute("""
create function ledger_is_only_added_to() returns trigger language plpgsql as $$
begin
    raise exception 'the ledger is only added to: correct it by another entry' using errcode = 'restrict_violation';
end $$
    """)
    op.execute("""
create constraint trigger ledger_entries_balance after insert on ledger_entries
    deferrable initially deferred for each row execute function ledger_entry_balances()
    """)
    op.execute("""
create constraint trigger ledger_lines_balance after insert on ledger_lines
    deferrable initially deferred for each row when (new.position > 1) execute function ledger_entry_balances()
    """)
    op.execute("""
create trigger ledger_entries_stay before update or delete or truncate on ledger_entries
    for each statement execute function ledger_is_only_added_to()
    """)
    op.execute("""
create trigger ledger_lines_stay before update or delete or truncate on ledger_lines
    for each statement execute function ledger_is_only_added_to()
    """)
    op.execute("""
with fresh as (
    insert into ledger_entries (key, kind, payable, payment_id, happened_at)
    select 'payment ' || id, 'received', payable, id, coalesce(settled_at, created_at)
    from payments where state = 'succeeded' on conflict (key) do nothing returning id, payment_id
)
insert into ledger_lines (entry_id, position, account, amount_minor, currency)
select fresh.id, side.position, side.account, side.sign * p.amount_minor, p.currency
from fresh join payments p on p.id = fresh.payment_id cross join lateral (values
    (0, case p.method when 'credit' then 'credits' else 'gateway:' || p.gateway end, 1), (1, 'customers', -1)
) side (position, account, sign)
    """)
    op.execute("""
with fresh as (
    insert into ledger_entries (key, kind, payable, payment_id, refund_id, happened_at)
    select 'refund ' || r.id, 'refund ordered', p.payable, p.id, r.id, r.created_at
    from refunds r join payments p on p.id = r.payment_id on conflict (key) do nothing returning id, refund_id
)
insert into ledger_lines (entry_id, position, account, amount_minor, currency)
select fresh.id, side.position, side.account, side.sign * r.amount_minor, coalesce(p.told_currency, p.currency)
from fresh join refunds r on r.id = fresh.refund_id join payments p on p.id = r.payment_id
cross join lateral (values
    (0, case p.state when 'under_review' then 'under_review' else 'customers' end, 1), (1, 'refunds_due', -1)
) side (position, account, sign)
    """)
    op.execute("""
with fresh as (
    insert into ledger_entries (key, kind, payable, payment_id, refund_id, happened_at)
    select 'refunded ' || r.id, 'refunded', p.payable, p.id, r.id, coalesce(r.settled_at, r.created_at)
    from refunds r join payments p on p.id = r.payment_id where r.state = 'succeeded'
    on conflict (key) do nothing returning id, refund_id
)
insert into ledger_lines (entry_id, position, account, amount_minor, currency)
select fresh.id, side.position, side.account, side.sign * r.amount_minor, coalesce(p.told_currency, p.currency)
from fresh join refunds r on r.id = fresh.refund_id join payments p on p.id = r.payment_id
cross join lateral (values
    (0, 'refunds_due', 1),
    (1, case when r.way = 'credit' or p.method = 'credit' then 'credits' else 'gateway:' || p.gateway end, -1)
) side (position, account, sign)
    """)


def downgrade() -> None:
    op.execute("""
    drop trigger if exists coupons_drop_check_in on coupons
    """)
    op.execute("""
    drop function if exists drop_check_in()
    """)
    op.execute("""
drop trigger ledger_lines_stay on ledger_lines
    """)
    op.execute("""
drop trigger ledger_entries_stay on ledger_entries
    """)
    op.execute("""
drop trigger ledger_lines_balance on ledger_lines
    """)
    op.execute("""
drop trigger ledger_entries_balance on ledger_entries
    """)
    op.execute("""
drop function ledger_is_only_added_to()
    """)
    op.execute("""
drop function ledger_entry_balances()
    """)
    op.execute("alter table flight_cabins drop constraint if exists ck_flight_cabins_never_sold_once_closed")
    op.execute("alter table flights drop constraint if exists ck_flights_estimates_in_order")
    op.execute("alter table flights drop constraint if exists ck_flights_estimates_in_pairs")
    op.execute("alter table payments drop constraint if exists ck_payments_credit_is_named")
    op.execute("alter table payments drop constraint if exists ck_payments_method_known")
    op.execute("alter table payments drop constraint if exists ck_payments_review_names_the_sum")
    op.execute("alter table payments drop constraint if exists ck_payments_state_known")
    op.execute("alter table refunds drop constraint if exists ck_refunds_way_known")
    op.execute("alter table tickets drop constraint if exists ck_tickets_status_known")
    op.drop_constraint(op.f("fk_tickets_in_exchange_for"), "tickets", type_="foreignkey")
    op.drop_index("uq_tickets_open", table_name="tickets", postgresql_where=sa.text("status = 'open'"))
    op.drop_index("ix_tickets_passenger_id", table_name="tickets")
    op.create_unique_constraint(
        op.f("uq_tickets_passenger_id"), "tickets", ["passenger_id"], postgresql_nulls_not_distinct=False
    )
    op.drop_column("tickets", "in_exchange_for")
    op.drop_column("tickets", "status")
    op.drop_constraint(op.f("fk_refunds_credit_id"), "refunds", type_="foreignkey")
    op.drop_index("ix_refunds_open", table_name="refunds", postgresql_where=sa.text("state <> 'succeeded'"))
    op.drop_column("refunds", "tries")
    op.drop_column("refunds", "round")
    op.drop_column("refunds", "problem")
    op.drop_column("refunds", "credit_id")
    op.drop_column("refunds", "way")
    op.drop_constraint(op.f("fk_payments_credit_id"), "payments", type_="foreignkey")
    op.drop_column("payments", "credit_id")
    op.drop_column("payments", "told_currency")
    op.drop_column("payments", "told_minor")
    op.drop_column("payments", "purpose")
    op.drop_column("passengers", "cancelled_at")
    op.drop_column("flights", "steered_at")
    op.drop_column("flights", "sale_closed_at")
    op.drop_column("flights", "estimated_arrival_at")
    op.drop_column("flights", "estimated_departure_at")
    op.drop_column("flight_cabins", "protections")
    op.drop_column("flight_cabins", "closed_at_sold")
    op.drop_constraint(op.f("fk_documents_amendment_id"), "documents", type_="foreignkey")
    op.drop_constraint(op.f("fk_documents_paper_id"), "documents", type_="foreignkey")
    op.drop_index("uq_documents_paper_id", table_name="documents", postgresql_where=sa.text("paper_id is not null"))
    op.drop_column("documents", "paper_id")
    op.drop_column("documents", "amendment_id")
    op.drop_constraint(op.f("fk_charges_item_id"), "charges", type_="foreignkey")
    op.drop_constraint(op.f("fk_charges_amendment_id"), "charges", type_="foreignkey")
    op.drop_index("ix_charges_item_id", table_name="charges", postgresql_where=sa.text("item_id is not null"))
    op.drop_index("ix_charges_amendment_id", table_name="charges", postgresql_where=sa.text("amendment_id is not null"))
    op.drop_column("charges", "item_id")
    op.drop_column("charges", "amendment_id")
    op.drop_column("booking_slices", "cancelled_at")
    op.drop_column("booking_slices", "pricing")
    op.drop_column("booking_slices", "fare_basis")
    op.drop_index("ix_no_shows_flight_id", table_name="no_shows")
    op.drop_table("no_shows")
    op.drop_index("ix_check_ins_passenger_id", table_name="check_ins")
    op.drop_table("check_ins")
    op.drop_table("travel_documents")
    op.drop_index("uq_sale_papers_sale", table_name="sale_papers", postgresql_where=sa.text("amendment_id is null"))
    op.drop_index("uq_sale_papers_amendment_id", table_name="sale_papers")
    op.drop_index("ix_sale_papers_booking_id", table_name="sale_papers")
    op.drop_table("sale_papers")
    op.drop_index(
        "uq_named_seats_tentative", table_name="named_seats", postgresql_where=sa.text("tentative_until is not null")
    )
    op.drop_index("uq_named_seats_firm", table_name="named_seats", postgresql_where=sa.text("tentative_until is null"))
    op.drop_index("ix_named_seats_holder", table_name="named_seats")
    op.drop_table("named_seats")
    op.drop_index(op.f("ix_credit_moves_credit_id"), table_name="credit_moves")
    op.drop_table("credit_moves")
    op.drop_index("ix_booking_items_flight_id", table_name="booking_items")
    op.drop_index("ix_booking_items_booking_id", table_name="booking_items")
    op.drop_table("booking_items")
    op.drop_index(
        "ix_affected_bookings_remind_at", table_name="affected_bookings", postgresql_where=sa.text("state = 'told'")
    )
    op.drop_index(
        "ix_affected_bookings_refund_at", table_name="affected_bookings", postgresql_where=sa.text("state = 'told'")
    )
    op.drop_index(
        "ix_affected_bookings_open",
        table_name="affected_bookings",
        postgresql_where=sa.text("state in ('noted', 'told')"),
    )
    op.drop_index("ix_affected_bookings_booking_id", table_name="affected_bookings")
    op.drop_table("affected_bookings")
    op.drop_index("uq_waits_once", table_name="waits", postgresql_where=sa.text("state in ('waiting', 'offered')"))
    op.drop_index("ix_waits_user_id", table_name="waits")
    op.drop_index("ix_waits_line", table_name="waits", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_table("waits")
    op.drop_index("ix_disruptions_made_at", table_name="disruptions")
    op.drop_index("ix_disruptions_flight_id", table_name="disruptions")
    op.drop_table("disruptions")
    op.drop_table("boardings")
    op.drop_index("uq_amendments_paying", table_name="amendments", postgresql_where=sa.text("state = 'paying'"))
    op.drop_index("uq_amendments_idempotency_key", table_name="amendments")
    op.drop_index(
        "ix_amendments_lapsing", table_name="amendments", postgresql_where=sa.text("state in ('quoted', 'paying')")
    )
    op.drop_table("amendments")
    op.drop_index("ix_saved_travellers_user_id_created_at", table_name="saved_travellers")
    op.drop_table("saved_travellers")
    op.drop_index(
        "uq_promotion_uses_slot",
        table_name="promotion_uses",
        postgresql_where=sa.text("state <> 'returned' and customer is not null"),
    )
    op.drop_index(
        "uq_promotion_uses_holder", table_name="promotion_uses", postgresql_where=sa.text("state <> 'returned'")
    )
    op.drop_index("ix_promotion_uses_holder", table_name="promotion_uses")
    op.drop_index("ix_promotion_uses_held", table_name="promotion_uses", postgresql_where=sa.text("state = 'held'"))
    op.drop_table("promotion_uses")
    op.drop_table("preferences")
    op.drop_index("ix_ledger_lines_account", table_name="ledger_lines")
    op.drop_table("ledger_lines")
    op.drop_table("favourite_routes")
    op.drop_index("uq_alerts_once", table_name="alerts", postgresql_where=sa.text("state in ('pending', 'active')"))
    op.drop_index("ix_alerts_user_id", table_name="alerts")
    op.drop_index("ix_alerts_due", table_name="alerts", postgresql_where=sa.text("state = 'active'"))
    op.drop_table("alerts")
    op.drop_index("ix_seat_prices_cabin", table_name="seat_prices")
    op.drop_table("seat_prices")
    op.drop_table("promotions")
    op.drop_table("paper_series")
    op.drop_index(op.f("ix_ledger_entries_payable"), table_name="ledger_entries")
    op.drop_index(op.f("ix_ledger_entries_happened_at"), table_name="ledger_entries")
    op.drop_table("ledger_entries")
    op.drop_table("gateway_events")
    op.drop_table("fare_rules")
    op.drop_table("fare_classes")
    op.drop_index("ix_extra_products_code", table_name="extra_products")
    op.drop_table("extra_products")
    op.drop_index(op.f("ix_credits_payable"), table_name="credits")
    op.drop_index(op.f("ix_credits_owner_email"), table_name="credits")
    op.drop_table("credits")
    op.drop_table("carrier_change_rules")
    op.execute(
        """alter table payments add constraint ck_payments_method_known CHECK (((method)::text = ANY ((ARRAY['page'::character varying, 'card'::character varying])::text[])))"""
    )
    op.execute(
        """alter table payments add constraint ck_payments_state_known CHECK (((state)::text = ANY ((ARRAY['pending'::character varying, 'action_required'::character varying, 'succeeded'::character varying, 'declined'::character varying, 'abandoned'::character varying])::text[])))"""
    )
