"""The first schema: places, flights, prices, bookings, payments, accounts, outbox, roll-ups."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "20261123_first"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("create extension if not exists pg_trgm")
    op.execute("create sequence if not exists ticket_serials start 1000000001 maxvalue 9999999999")
    op.create_table(
        "aircraft_types",
        sa.Column("code", sa.String(length=4), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_aircraft_types")),
    )
    op.create_table(
        "airports",
        sa.Column("code", sa.String(length=3), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("city", sa.String(), nullable=False),
        sa.Column("country", sa.String(length=2), nullable=False),
        sa.Column("country_name", sa.String(), nullable=False),
        sa.Column("time_zone", sa.String(), nullable=False),
        sa.Column("latitude", sa.Double(), nullable=False),
        sa.Column("longitude", sa.Double(), nullable=False),
        sa.Column("served", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("rank", sa.Integer(), server_default="0", nullable=False),
        sa.Column("search_text", sa.String(), nullable=False),
        sa.CheckConstraint("code ~ '^[A-Z]{3}$'", name=op.f("ck_airports_code_is_iata")),
        sa.CheckConstraint(
            "latitude between -90 and 90 and longitude between -180 and 180", name=op.f("ck_airports_on_earth")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_airports")),
    )
    op.create_index(
        "ix_airports_search_text",
        "airports",
        ["search_text"],
        unique=False,
        postgresql_using="gin",
        postgresql_ops={"search_text": "gin_trgm_ops"},
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("happened_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("actor_id", sa.Uuid(), nullable=True),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("thing", sa.String(), nullable=False),
        sa.Column("thing_id", sa.String(), nullable=False),
        sa.Column("before", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("after", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
    )
    op.create_index("ix_audit_entries_happened_at", "audit_entries", ["happened_at"], unique=False)
    op.create_index("ix_audit_entries_thing", "audit_entries", ["thing", "thing_id"], unique=False)
    op.create_table(
        "carriers",
        sa.Column("code", sa.String(length=2), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("ticket_prefix", sa.String(length=3), nullable=False),
        sa.CheckConstraint("code ~ '^[A-Z0-9]{2}$'", name=op.f("ck_carriers_code_is_iata")),
        sa.CheckConstraint("ticket_prefix ~ '^[0-9]{3}$'", name=op.f("ck_carriers_ticket_prefix_is_three_digits")),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_carriers")),
    )
    op.create_table(
        "exchange_rates",
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("millionths_per_usd", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint("millionths_per_usd > 0", name=op.f("ck_exchange_rates_rate_positive")),
        sa.PrimaryKeyConstraint("currency", "valid_from", name=op.f("pk_exchange_rates")),
    )
    op.create_table(
        "fare_brands",
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("booking_class", sa.String(length=1), nullable=False),
        sa.Column("factor_bp", sa.Integer(), nullable=False),
        sa.Column("cabin_bag", sa.Boolean(), nullable=False),
        sa.Column("checked_bags", sa.Integer(), nullable=False),
        sa.Column("seat", sa.String(), nullable=False),
        sa.Column("refund", sa.String(), nullable=False),
        sa.Column("refund_penalty_minor", sa.Integer(), nullable=False),
        sa.Column("change", sa.String(), nullable=False),
        sa.Column("change_penalty_minor", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "refund in ('allowed', 'penalty', 'no') and change in ('allowed', 'penalty', 'no') and seat in ('allowed', 'penalty', 'no')",
            name=op.f("ck_fare_brands_terms_known"),
        ),
        sa.CheckConstraint("factor_bp > 0", name=op.f("ck_fare_brands_factor_positive")),
        sa.CheckConstraint(
            "refund_penalty_minor >= 0 and change_penalty_minor >= 0",
            name=op.f("ck_fare_brands_penalties_not_negative"),
        ),
        sa.PrimaryKeyConstraint("cabin", "brand", name=op.f("pk_fare_brands")),
    )
    op.create_table(
        "flight_days",
        sa.Column("departs_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("flights", sa.Integer(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("sold", sa.Integer(), nullable=False),
        sa.Column("ask_km", sa.BigInteger(), nullable=False),
        sa.Column("rpk_km", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("departs_on", "origin", "destination", "cabin", name=op.f("pk_flight_days")),
    )
    op.create_index("ix_flight_days_route", "flight_days", ["origin", "destination", "departs_on"], unique=False)
    op.create_table(
        "idempotency_keys",
        sa.Column("scope", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("leased_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("headers", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("scope", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index(op.f("ix_idempotency_keys_created_at"), "idempotency_keys", ["created_at"], unique=False)
    op.create_table(
        "letters",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("queue", sa.String(), server_default="default", nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("request_id", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("next_try_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state in ('waiting', 'handed', 'running', 'done', 'failed', 'dead', 'dropped')",
            name=op.f("ck_letters_state_known"),
        ),
        sa.CheckConstraint("attempts >= 0", name=op.f("ck_letters_attempts_counted")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_letters")),
    )
    op.create_index(
        "ix_letters_open",
        "letters",
        ["next_try_at"],
        unique=False,
        postgresql_where=sa.text("state in ('waiting', 'handed', 'running', 'failed')"),
    )
    op.create_index("ix_letters_state_created_at", "letters", ["state", "created_at"], unique=False)
    op.create_index(
        "uq_letters_kind_key", "letters", ["kind", "key"], unique=True, postgresql_where=sa.text("key is not null")
    )
    op.create_table(
        "payments",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("payable", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("gateway", sa.String(), nullable=False),
        sa.Column("gateway_reference", sa.String(), nullable=True),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("decline_code", sa.String(), nullable=True),
        sa.Column("action_url", sa.String(), nullable=True),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("applied_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "applied_at is null or state = 'succeeded'", name=op.f("ck_payments_only_real_money_applied")
        ),
        sa.CheckConstraint("method in ('page', 'card')", name=op.f("ck_payments_method_known")),
        sa.CheckConstraint(
            "state in ('pending', 'action_required', 'succeeded', 'declined', 'abandoned')",
            name=op.f("ck_payments_state_known"),
        ),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_payments_amount_positive")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_payments")),
        sa.UniqueConstraint("gateway_reference", name=op.f("uq_payments_gateway_reference")),
    )
    op.create_index(
        "ix_payments_open",
        "payments",
        ["state", "created_at"],
        unique=False,
        postgresql_where=sa.text("state in ('pending', 'action_required')"),
    )
    op.create_index(op.f("ix_payments_payable"), "payments", ["payable"], unique=False)
    op.create_index("uq_payments_idempotency_key", "payments", ["payable", "idempotency_key"], unique=True)
    op.create_table(
        "sales_counts",
        sa.Column("sold_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.Column("passengers", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sold_on", "origin", "destination", "cabin", "brand", "currency", name=op.f("pk_sales_counts")
        ),
    )
    op.create_table(
        "sales_days",
        sa.Column("sold_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.Column("passengers", sa.Integer(), nullable=False),
        sa.Column("revenue_minor", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint(
            "sold_on", "origin", "destination", "cabin", "brand", "currency", name=op.f("pk_sales_days")
        ),
    )
    op.create_index("ix_sales_days_route", "sales_days", ["origin", "destination", "sold_on"], unique=False)
    op.create_table(
        "sandbox_charges",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("description", sa.String(), nullable=False),
        sa.Column("return_path", sa.String(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("decline_code", sa.String(), nullable=True),
        sa.Column("answers_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("refunds", postgresql.JSONB(astext_type=sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint(
            "state in ('open', 'challenge', 'processing', 'succeeded', 'declined', 'cancelled')",
            name=op.f("ck_sandbox_charges_state_known"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sandbox_charges")),
        sa.UniqueConstraint("idempotency_key", name=op.f("uq_sandbox_charges_idempotency_key")),
    )
    op.create_table(
        "sent_mails",
        sa.Column("message_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("recipient", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("begun_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("message_id", name=op.f("pk_sent_mails")),
    )
    op.create_table(
        "stale_days",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("marked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("kind in ('sales', 'flights')", name=op.f("ck_stale_days_kind_known")),
        sa.PrimaryKeyConstraint("kind", "day", name=op.f("pk_stale_days")),
    )
    op.create_table(
        "taxes",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("amount", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("origins", sa.ARRAY(sa.String(length=2)), nullable=True),
        sa.Column("destinations", sa.ARRAY(sa.String(length=2)), nullable=True),
        sa.Column("elsewhere", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("domestic", sa.Boolean(), nullable=True),
        sa.Column("economy", sa.Boolean(), nullable=True),
        sa.Column("children_pay", sa.Boolean(), server_default="true", nullable=False),
        sa.Column("infants_pay", sa.Boolean(), server_default="false", nullable=False),
        sa.Column("at_most", sa.Integer(), nullable=True),
        sa.Column("valid_from", sa.Date(), nullable=False),
        sa.Column("valid_to", sa.Date(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.CheckConstraint("kind in ('percent', 'per_passenger', 'per_segment')", name=op.f("ck_taxes_kind_known")),
        sa.CheckConstraint("amount >= 0", name=op.f("ck_taxes_amount_not_negative")),
        sa.CheckConstraint("at_most > 0", name=op.f("ck_taxes_at_most_positive")),
        sa.CheckConstraint("valid_to is null or valid_to >= valid_from", name=op.f("ck_taxes_valid_in_order")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_taxes")),
        sa.UniqueConstraint("key", name=op.f("uq_taxes_key")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("given_name", sa.String(), nullable=False),
        sa.Column("family_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("role", sa.String(), server_default="customer", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("email_verified_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("role in ('customer', 'staff', 'admin')", name=op.f("ck_users_role_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
    )
    op.create_index("uq_users_email", "users", [sa.literal_column("lower(email)")], unique=True)
    op.create_table(
        "aircraft_cabins",
        sa.Column("aircraft", sa.String(length=4), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("first_row", sa.Integer(), nullable=False),
        sa.Column("last_row", sa.Integer(), nullable=False),
        sa.Column("layout", sa.String(), nullable=False),
        sa.Column("exit_rows", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.CheckConstraint(
            "cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_aircraft_cabins_cabin_known")
        ),
        sa.CheckConstraint("capacity > 0", name=op.f("ck_aircraft_cabins_capacity_positive")),
        sa.CheckConstraint("first_row > 0 and last_row >= first_row", name=op.f("ck_aircraft_cabins_rows_in_order")),
        sa.ForeignKeyConstraint(["aircraft"], ["aircraft_types.code"], name=op.f("fk_aircraft_cabins_aircraft")),
        sa.PrimaryKeyConstraint("aircraft", "cabin", name=op.f("pk_aircraft_cabins")),
    )
    op.create_table(
        "bookings",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("reference", sa.String(length=6), nullable=False),
        sa.Column("status", sa.String(), server_default="held", nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("contact_email", sa.String(), nullable=True),
        sa.Column("contact_phone", sa.String(), nullable=True),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("total_minor", sa.Integer(), nullable=False),
        sa.Column("paid_minor", sa.Integer(), server_default="0", nullable=False),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("idempotency_key", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("extensions", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("confirmed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(status = 'held') = (expires_at is not null)", name=op.f("ck_bookings_held_has_deadline")),
        sa.CheckConstraint("reference ~ '^[2-9A-HJ-NP-Z]{6}$'", name=op.f("ck_bookings_reference_readable")),
        sa.CheckConstraint(
            "status <> 'confirmed' or paid_minor = total_minor", name=op.f("ck_bookings_confirmed_is_paid")
        ),
        sa.CheckConstraint(
            "status in ('held', 'confirmed', 'cancelled', 'expired')", name=op.f("ck_bookings_status_known")
        ),
        sa.CheckConstraint("extensions between 0 and 10", name=op.f("ck_bookings_extensions_limited")),
        sa.CheckConstraint("total_minor >= 0 and paid_minor >= 0", name=op.f("ck_bookings_money_not_negative")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_bookings_user_id"), ondelete="SET NULL"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bookings")),
        sa.UniqueConstraint("reference", name=op.f("uq_bookings_reference")),
    )
    op.create_index(
        "ix_bookings_confirmed_at",
        "bookings",
        ["confirmed_at"],
        unique=False,
        postgresql_where=sa.text("confirmed_at is not null"),
    )
    op.create_index("ix_bookings_created_at", "bookings", ["created_at"], unique=False)
    op.create_index(
        "ix_bookings_lapsing", "bookings", ["expires_at"], unique=False, postgresql_where=sa.text("status = 'held'")
    )
    op.create_index("ix_bookings_user_id_created_at", "bookings", ["user_id", "created_at"], unique=False)
    op.create_index("uq_bookings_idempotency_key", "bookings", ["idempotency_key"], unique=True)
    op.create_table(
        "exports",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("report", sa.String(), nullable=False),
        sa.Column("format", sa.String(), nullable=False),
        sa.Column("filters", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("attempt", sa.Integer(), server_default="0", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("rows", sa.Integer(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        sa.Column("filename", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("format in ('csv', 'xlsx', 'json')", name=op.f("ck_exports_format_known")),
        sa.CheckConstraint("report in ('sales', 'bookings')", name=op.f("ck_exports_report_known")),
        sa.CheckConstraint("state in ('waiting', 'running', 'done', 'failed')", name=op.f("ck_exports_state_known")),
        sa.CheckConstraint("progress between 0 and 100", name=op.f("ck_exports_progress_is_percent")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_exports_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_exports")),
    )
    op.create_index(op.f("ix_exports_user_id"), "exports", ["user_id"], unique=False)
    op.create_table(
        "flights",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("public_id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("carrier", sa.String(length=2), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("departs_on", sa.Date(), nullable=False),
        sa.Column("departure_local", sa.DateTime(), nullable=False),
        sa.Column("arrival_local", sa.DateTime(), nullable=False),
        sa.Column("departure_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("arrival_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("aircraft", sa.String(length=4), nullable=False),
        sa.Column("distance_km", sa.Integer(), nullable=False),
        sa.Column("fare_minor", sa.Integer(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("status", sa.String(), server_default="scheduled", nullable=False),
        sa.CheckConstraint("status in ('scheduled', 'cancelled')", name=op.f("ck_flights_status_known")),
        sa.CheckConstraint("arrival_at > departure_at", name=op.f("ck_flights_arrives_after_departure")),
        sa.CheckConstraint("departure_local::date = departs_on", name=op.f("ck_flights_departs_on_is_local")),
        sa.CheckConstraint("fare_minor > 0", name=op.f("ck_flights_fare_positive")),
        sa.CheckConstraint("number between 1 and 9999", name=op.f("ck_flights_number_of_four_digits")),
        sa.CheckConstraint("origin <> destination", name=op.f("ck_flights_goes_somewhere")),
        sa.ForeignKeyConstraint(["aircraft"], ["aircraft_types.code"], name=op.f("fk_flights_aircraft")),
        sa.ForeignKeyConstraint(["carrier"], ["carriers.code"], name=op.f("fk_flights_carrier")),
        sa.ForeignKeyConstraint(["destination"], ["airports.code"], name=op.f("fk_flights_destination")),
        sa.ForeignKeyConstraint(["origin"], ["airports.code"], name=op.f("fk_flights_origin")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_flights")),
        sa.UniqueConstraint(
            "carrier", "number", "origin", "departs_on", name=op.f("uq_flights_carrier_number_origin_departs_on")
        ),
        sa.UniqueConstraint("public_id", name=op.f("uq_flights_public_id")),
    )
    op.create_index("ix_flights_departure_at", "flights", ["departure_at"], unique=False)
    op.create_index("ix_flights_leaving", "flights", ["origin", "departs_on"], unique=False)
    op.create_index("ix_flights_market", "flights", ["origin", "destination", "departs_on"], unique=False)
    op.create_index("ix_flights_reaching", "flights", ["destination", "departure_at"], unique=False)
    op.create_table(
        "refresh_tokens",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("family", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_refresh_tokens_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_refresh_tokens")),
    )
    op.create_index(op.f("ix_refresh_tokens_family"), "refresh_tokens", ["family"], unique=False)
    op.create_index(op.f("ix_refresh_tokens_user_id"), "refresh_tokens", ["user_id"], unique=False)
    op.create_table(
        "refunds",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("payment_id", sa.Uuid(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("state", sa.String(), server_default="pending", nullable=False),
        sa.Column("gateway_reference", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("state in ('pending', 'succeeded', 'failed')", name=op.f("ck_refunds_state_known")),
        sa.CheckConstraint("amount_minor > 0", name=op.f("ck_refunds_amount_positive")),
        sa.ForeignKeyConstraint(["payment_id"], ["payments.id"], name=op.f("fk_refunds_payment_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_refunds")),
        sa.UniqueConstraint("payment_id", "reason", name=op.f("uq_refunds_payment_id_reason")),
    )
    op.create_table(
        "sign_ins",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("address", sa.String(), nullable=True),
        sa.Column("agent", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_sign_ins_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_sign_ins")),
    )
    op.create_index(op.f("ix_sign_ins_user_id"), "sign_ins", ["user_id"], unique=False)
    op.create_table(
        "booking_slices",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("booking_class", sa.String(length=1), nullable=False),
        sa.Column("conditions", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_booking_slices_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["destination"], ["airports.code"], name=op.f("fk_booking_slices_destination")),
        sa.ForeignKeyConstraint(["origin"], ["airports.code"], name=op.f("fk_booking_slices_origin")),
        sa.PrimaryKeyConstraint("booking_id", "position", name=op.f("pk_booking_slices")),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_documents_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_documents")),
        sa.UniqueConstraint("booking_id", "kind", "version", name=op.f("uq_documents_booking_id_kind_version")),
    )
    op.create_table(
        "export_chunks",
        sa.Column("export_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["export_id"], ["exports.id"], name=op.f("fk_export_chunks_export_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("export_id", "position", name=op.f("pk_export_chunks")),
    )
    op.create_table(
        "flight_cabins",
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("sold", sa.Integer(), server_default="0", nullable=False),
        sa.Column("held", sa.Integer(), server_default="0", nullable=False),
        sa.CheckConstraint(
            "cabin in ('economy', 'premium', 'business', 'first')", name=op.f("ck_flight_cabins_cabin_known")
        ),
        sa.CheckConstraint(
            "sold >= 0 and held >= 0 and sold + held <= capacity", name=op.f("ck_flight_cabins_never_oversold")
        ),
        sa.ForeignKeyConstraint(
            ["flight_id"], ["flights.id"], name=op.f("fk_flight_cabins_flight_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("flight_id", "cabin", name=op.f("pk_flight_cabins")),
    )
    op.create_table(
        "passengers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("given_name", sa.String(), nullable=True),
        sa.Column("family_name", sa.String(), nullable=True),
        sa.Column("ticket_name", sa.String(), nullable=True),
        sa.Column("date_of_birth", sa.Date(), nullable=True),
        sa.CheckConstraint("type in ('adult', 'child', 'infant')", name=op.f("ck_passengers_type_known")),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_passengers_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passengers")),
        sa.UniqueConstraint("booking_id", "position", name=op.f("uq_passengers_booking_id_position")),
    )
    op.create_index(
        "ix_passengers_family", "passengers", [sa.literal_column("upper(family_name)"), "booking_id"], unique=False
    )
    op.create_table(
        "seat_claims",
        sa.Column("holder", sa.Uuid(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("seats", sa.Integer(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("seats > 0", name=op.f("ck_seat_claims_seats_positive")),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_seat_claims_flight_id")),
        sa.PrimaryKeyConstraint("holder", "flight_id", "cabin", name=op.f("pk_seat_claims")),
    )
    op.create_index("ix_seat_claims_flight_id", "seat_claims", ["flight_id"], unique=False)
    op.create_index(
        "ix_seat_claims_lapsing",
        "seat_claims",
        ["flight_id", "cabin", "expires_at"],
        unique=False,
        postgresql_where=sa.text("expires_at is not null"),
    )
    op.create_table(
        "booking_segments",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("slice_position", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id", "slice_position"],
            ["booking_slices.booking_id", "booking_slices.position"],
            name=op.f("fk_booking_segments_booking_id_slice_position"),
            ondelete="CASCADE",
        ),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_booking_segments_flight_id")),
        sa.PrimaryKeyConstraint("booking_id", "slice_position", "position", name=op.f("pk_booking_segments")),
        sa.UniqueConstraint("booking_id", "flight_id", name=op.f("uq_booking_segments_booking_id_flight_id")),
    )
    op.create_index(op.f("ix_booking_segments_flight_id"), "booking_segments", ["flight_id"], unique=False)
    op.create_table(
        "charges",
        sa.Column("id", sa.Integer(), sa.Identity(always=False), nullable=False),
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("passenger_id", sa.Uuid(), nullable=True),
        sa.Column("slice_position", sa.Integer(), nullable=False),
        sa.Column("code", sa.String(), nullable=False),
        sa.Column("label", sa.String(), nullable=False),
        sa.Column("amount_minor", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_charges_booking_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["passenger_id"], ["passengers.id"], name=op.f("fk_charges_passenger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_charges")),
        sa.UniqueConstraint("booking_id", "position", name=op.f("uq_charges_booking_id_position")),
    )
    op.create_table(
        "tickets",
        sa.Column("number", sa.String(length=13), nullable=False),
        sa.Column("passenger_id", sa.Uuid(), nullable=False),
        sa.Column("issued_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("number ~ '^[0-9]{13}$'", name=op.f("ck_tickets_number_of_thirteen_digits")),
        sa.ForeignKeyConstraint(
            ["passenger_id"], ["passengers.id"], name=op.f("fk_tickets_passenger_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_tickets")),
        sa.UniqueConstraint("passenger_id", name=op.f("uq_tickets_passenger_id")),
    )
    op.create_table(
        "coupons",
        sa.Column("ticket_number", sa.String(length=13), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("flight_id", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(), server_default="open", nullable=False),
        sa.CheckConstraint(
            "status in ('open', 'checked_in', 'flown', 'refunded', 'void')", name=op.f("ck_coupons_status_known")
        ),
        sa.ForeignKeyConstraint(["flight_id"], ["flights.id"], name=op.f("fk_coupons_flight_id")),
        sa.ForeignKeyConstraint(
            ["ticket_number"], ["tickets.number"], name=op.f("fk_coupons_ticket_number"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("ticket_number", "position", name=op.f("pk_coupons")),
    )
    op.create_index(op.f("ix_coupons_flight_id"), "coupons", ["flight_id"], unique=False)


def downgrade() -> None:
    for table in (
        "coupons",
        "tickets",
        "charges",
        "booking_segments",
        "seat_claims",
        "passengers",
        "flight_cabins",
        "export_chunks",
        "documents",
        "booking_slices",
        "sign_ins",
        "refunds",
        "refresh_tokens",
        "flights",
        "exports",
        "bookings",
        "aircraft_cabins",
        "users",
        "taxes",
        "stale_days",
        "sent_mails",
        "sandbox_charges",
        "sales_days",
        "sales_counts",
        "payments",
        "letters",
        "idempotency_keys",
        "flight_days",
        "fare_brands",
        "exchange_rates",
        "carriers",
        "audit_entries",
        "airports",
        "aircraft_types",
    ):
        op.drop_table(table)
    op.execute("drop sequence ticket_serials")
