"""Accounts and access: factors, passkeys, tokens, keys, a chained audit trail; the rest of a booking's life."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "20261123_access"
down_revision = "20261123_whole_life"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table preferences drop constraint if exists ck_preferences_seat_known")
    op.create_table(
        "audit_seals",
        sa.Column("position", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("entry_id", sa.BigInteger(), nullable=False),
        sa.Column("transaction", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sealed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("position", name=op.f("pk_audit_seals")),
    )
    op.create_index("uq_audit_seals_entry_id", "audit_seals", ["entry_id"], unique=True)
    op.create_table(
        "erasures",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), server_default="asked", nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("done_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'done') = (done_at is not null)", name=op.f("ck_erasures_done_has_a_time")),
        sa.CheckConstraint("state in ('asked', 'withdrawn', 'done')", name=op.f("ck_erasures_state_known")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
    )
    op.create_index(
        "ix_erasures_due", "erasures", ["due_at"], unique=False, postgresql_where=sa.text("state = 'asked'")
    )
    op.create_index(
        "uq_erasures_asked", "erasures", ["user_id"], unique=True, postgresql_where=sa.text("state = 'asked'")
    )
    op.create_table(
        "pending_accounts",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("given_name", sa.String(), nullable=False),
        sa.Column("family_name", sa.String(), nullable=False),
        sa.Column("password_hash", sa.String(), nullable=False),
        sa.Column("locale", sa.String(), server_default="en", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pending_accounts")),
    )
    op.create_index("ix_pending_accounts_created_at", "pending_accounts", ["created_at"], unique=False)
    op.create_index("ix_pending_accounts_email", "pending_accounts", [sa.literal_column("lower(email)")], unique=False)
    op.create_table(
        "sales_facts",
        sa.Column("sold_on", sa.Date(), nullable=False),
        sa.Column("origin", sa.String(length=3), nullable=False),
        sa.Column("destination", sa.String(length=3), nullable=False),
        sa.Column("cabin", sa.String(), nullable=False),
        sa.Column("brand", sa.String(), nullable=False),
        sa.Column("currency", sa.String(length=3), nullable=False),
        sa.Column("fact", sa.String(), nullable=False),
        sa.Column("bookings", sa.Integer(), nullable=False),
        sa.Column("passengers", sa.Integer(), nullable=False),
        sa.Column("amount_minor", sa.BigInteger(), nullable=False),
        sa.CheckConstraint(
            "fact in ('cancelled', 'refunded', 'extra', 'seat', 'bag', 'meal', 'priority', 'insurance')",
            name=op.f("ck_sales_facts_fact_known"),
        ),
        sa.PrimaryKeyConstraint(
            "sold_on", "origin", "destination", "cabin", "brand", "currency", "fact", name=op.f("pk_sales_facts")
        ),
    )
    op.create_table(
        "spent_challenges",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_spent_challenges")),
    )
    op.create_index(op.f("ix_spent_challenges_expires_at"), "spent_challenges", ["expires_at"], unique=False)
    op.create_table(
        "api_keys",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("addresses", sa.ARRAY(sa.Text()), server_default="{}", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_address", sa.String(), nullable=True),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("name <> ''", name=op.f("ck_api_keys_named")),
        sa.CheckConstraint("cardinality(scopes) > 0", name=op.f("ck_api_keys_may_something")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_api_keys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_api_keys_fingerprint")),
    )
    op.create_index(op.f("ix_api_keys_user_id"), "api_keys", ["user_id"], unique=False)
    op.create_table(
        "authenticators",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("last_step", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_authenticators_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", name=op.f("pk_authenticators")),
    )
    op.create_table(
        "data_copies",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.String(), server_default="waiting", nullable=False),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("asked_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("ready_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("fetched_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("(state = 'ready') = (content is not null)", name=op.f("ck_data_copies_ready_has_content")),
        sa.CheckConstraint(
            "state in ('waiting', 'running', 'ready', 'failed')", name=op.f("ck_data_copies_state_known")
        ),
        sa.CheckConstraint("progress between 0 and 100", name=op.f("ck_data_copies_progress_in_percent")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_data_copies_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_data_copies")),
    )
    op.create_index("ix_data_copies_user_id_asked_at", "data_copies", ["user_id", "asked_at"], unique=False)
    op.create_index(
        "uq_data_copies_underway",
        "data_copies",
        ["user_id"],
        unique=True,
        postgresql_where=sa.text("state in ('waiting', 'running')"),
    )
    op.create_table(
        "half_sign_ins",
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("guesses", sa.Integer(), server_default="0", nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_half_sign_ins_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("fingerprint", name=op.f("pk_half_sign_ins")),
    )
    op.create_index(op.f("ix_half_sign_ins_expires_at"), "half_sign_ins", ["expires_at"], unique=False)
    op.create_index(op.f("ix_half_sign_ins_user_id"), "half_sign_ins", ["user_id"], unique=False)
    op.create_table(
        "identities",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("subject", sa.String(), nullable=False),
        sa.Column("email", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_identities_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_identities")),
        sa.UniqueConstraint("issuer", "subject", name=op.f("uq_identities_issuer_subject")),
    )
    op.create_index(op.f("ix_identities_user_id"), "identities", ["user_id"], unique=False)
    op.create_table(
        "known_browsers",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("mark", sa.String(), nullable=False),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_known_browsers_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "mark", name=op.f("pk_known_browsers")),
    )
    op.create_table(
        "passkeys",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("credential_id", sa.LargeBinary(), nullable=False),
        sa.Column("public_key", sa.LargeBinary(), nullable=False),
        sa.Column("sign_count", sa.BigInteger(), nullable=False),
        sa.Column("transports", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("synced", sa.Boolean(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("sign_count >= 0", name=op.f("ck_passkeys_counts_up")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_passkeys_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_passkeys")),
        sa.UniqueConstraint("credential_id", name=op.f("uq_passkeys_credential_id")),
    )
    op.create_index(op.f("ix_passkeys_user_id"), "passkeys", ["user_id"], unique=False)
    op.create_table(
        "recovery_codes",
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_recovery_codes_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("user_id", "fingerprint", name=op.f("pk_recovery_codes")),
    )
    op.create_table(
        "remembered_browsers",
        sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False),
        sa.Column("fingerprint", sa.String(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.Column("used_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_remembered_browsers_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_remembered_browsers")),
        sa.UniqueConstraint("fingerprint", name=op.f("uq_remembered_browsers_fingerprint")),
    )
    op.create_index(op.f("ix_remembered_browsers_expires_at"), "remembered_browsers", ["expires_at"], unique=False)
    op.create_index(op.f("ix_remembered_browsers_user_id"), "remembered_browsers", ["user_id"], unique=False)
    op.create_table(
        "later_erasures",
        sa.Column("booking_id", sa.Uuid(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["booking_id"], ["bookings.id"], name=op.f("fk_later_erasures_booking_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("booking_id", name=op.f("pk_later_erasures")),
    )
    op.create_index(op.f("ix_later_erasures_due_at"), "later_erasures", ["due_at"], unique=False)
    op.add_column("affected_bookings", sa.Column("items", sa.ARRAY(sa.Uuid()), server_default="{}", nullable=False))
    op.create_index(
        "ix_amendments_over",
        "amendments",
        ["expires_at"],
        unique=False,
        postgresql_where=sa.text("state in ('lapsed', 'withdrawn')"),
    )
    op.add_column("audit_entries", sa.Column("role", sa.String(), nullable=True))
    op.add_column("audit_entries", sa.Column("means", sa.String(), nullable=True))
    op.add_column(
        "audit_entries",
        sa.Column(
            "transaction",
            sa.BigInteger(),
            server_default=sa.text("(pg_current_xact_id()::text)::bigint"),
            nullable=False,
        ),
    )
    op.add_column("audit_entries", sa.Column("personal", sa.String(), nullable=True))
    op.add_column("audit_entries", sa.Column("personal_salt", sa.LargeBinary(), nullable=True))
    op.add_column("audit_entries", sa.Column("personal_digest", sa.LargeBinary(), nullable=True))
    op.create_index(
        "ix_audit_entries_actor_id",
        "audit_entries",
        ["actor_id", "id"],
        unique=False,
        postgresql_where=sa.text("actor_id is not null"),
    )
    op.create_index("ix_audit_entries_transaction", "audit_entries", ["transaction", "id"], unique=False)
    op.create_index(
        "ix_booking_items_amendment_id",
        "booking_items",
        ["amendment_id"],
        unique=False,
        postgresql_where=sa.text("amendment_id is not null"),
    )
    op.add_column("check_ins", sa.Column("told_seat", sa.String(length=4), nullable=True))
    op.drop_constraint(op.f("fk_check_ins_ticket_number_coupon_position"), "check_ins", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_check_ins_ticket_number_coupon_position"),
        "check_ins",
        "coupons",
        ["ticket_number", "coupon_position"],
        ["ticket_number", "position"],
        onupdate="CASCADE",
        ondelete="CASCADE",
    )
    op.create_index(
        "ix_documents_amendment_id",
        "documents",
        ["amendment_id"],
        unique=False,
        postgresql_where=sa.text("amendment_id is not null"),
    )
    op.add_column("fare_brands", sa.Column("valid_from", sa.Date(), server_default="2026-01-01", nullable=False))
    op.add_column("fare_brands", sa.Column("valid_to", sa.Date(), nullable=True))
    op.add_column("fare_classes", sa.Column("valid_from", sa.Date(), server_default="2026-01-01", nullable=False))
    op.add_column("fare_classes", sa.Column("valid_to", sa.Date(), nullable=True))
    op.drop_constraint(op.f("uq_fare_classes_cabin_position"), "fare_classes", type_="unique")
    op.add_column("flight_days", sa.Column("ticketed", sa.Integer(), server_default="0", nullable=False))
    op.add_column("flight_days", sa.Column("no_shows", sa.Integer(), server_default="0", nullable=False))
    op.drop_constraint(op.f("fk_no_shows_ticket_number_coupon_position"), "no_shows", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_no_shows_ticket_number_coupon_position"),
        "no_shows",
        "coupons",
        ["ticket_number", "coupon_position"],
        ["ticket_number", "position"],
        onupdate="CASCADE",
        ondelete="CASCADE",
    )
    op.add_column("passengers", sa.Column("stays_off", sa.ARRAY(sa.Integer()), server_default="{}", nullable=False))
    op.add_column("payments", sa.Column("return_url", sa.String(), nullable=True))
    op.add_column(
        "preferences", sa.Column("keep_address", sa.Boolean(), server_default=sa.text("true"), nullable=False)
    )
    op.add_column(
        "refresh_tokens",
        sa.Column("began_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
    )
    op.add_column("refresh_tokens", sa.Column("address", sa.String(), nullable=True))
    op.add_column("refresh_tokens", sa.Column("agent", sa.String(), nullable=True))
    op.add_column("sign_ins", sa.Column("id", sa.Uuid(), server_default=sa.text("gen_random_uuid()"), nullable=False))
    op.add_column("sign_ins", sa.Column("proved_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("sign_ins", sa.Column("factor_at", sa.DateTime(timezone=True), nullable=True))
    op.create_unique_constraint(op.f("uq_sign_ins_id"), "sign_ins", ["id"])
    op.add_column("users", sa.Column("credentials_version", sa.Integer(), server_default="0", nullable=False))
    op.add_column("users", sa.Column("password_changed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("users", sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.add_column("waits", sa.Column("onward_id", sa.Integer(), nullable=True))
    op.drop_index(
        op.f("uq_waits_once"),
        table_name="waits",
        postgresql_where="((state)::text = ANY ((ARRAY['waiting'::character varying, 'offered'::character varying])::text[]))",
    )
    op.create_index(
        "uq_waits_once",
        "waits",
        ["flight_id", "cabin", sa.literal_column("lower(email)"), sa.literal_column("coalesce(onward_id, 0)")],
        unique=True,
        postgresql_where=sa.text("state in ('waiting', 'offered')"),
    )
    op.create_index(
        "ix_waits_onward", "waits", ["onward_id", "cabin"], unique=False, postgresql_where=sa.text("state = 'waiting'")
    )
    op.create_foreign_key(op.f("fk_waits_onward_id"), "waits", "flights", ["onward_id"], ["id"], ondelete="CASCADE")
    op.execute(
        """alter table fare_brands add constraint ck_fare_brands_valid_in_order CHECK (((valid_to IS NULL) OR (valid_to >= valid_from)))"""
    )
    op.execute(
        """alter table fare_classes add constraint ck_fare_classes_valid_in_order CHECK (((valid_to IS NULL) OR (valid_to >= valid_from)))"""
    )
    op.execute(
        """alter table preferences add constraint ck_preferences_seat_known CHECK (((seat)::text = ANY ((ARRAY['window'::character varying, 'aisle'::character varying, 'front'::character varying])::text[])))"""
    )
    op.execute("""alter table waits add constraint ck_waits_goes_on CHECK ((onward_id <> flight_id))""")
    op.execute("""
insert into stale_days (kind, day)
select 'sales', (confirmed_at at time zone 'UTC')::date from bookings where confirmed_at is not null
union select 'flights', f.departs_on from flights f join boardings b on b.flight_id = f.id and b.settled_at is not null
on conflict (kind, day) do update set marked_at = now()
    """)
    op.execute("""
    create function audit_apart(name text, inout told jsonb, inout kept jsonb) language plpgsql as $$
    declare
        place text;
        part jsonb;
    begin
        if jsonb_typeof(told) = 'object' then
            for place, part in select * from jsonb_each(told) order by key loop
                select a.told, a.kept into part, kept from audit_apart(place, part, kept) a;
                told := jsonb_set(told, array[place], part);
            end loop;
        elsif jsonb_typeof(told) = 'array' then
            for place, part in select position - 1, value
                from jsonb_array_elements(told) with ordinality as each (value, position) loop
                select a.told, a.kept into part, kept from audit_apart(name, part, kept) a;
                told := jsonb_set(told, array[place], part);
            end loop;
        elsif jsonb_typeof(told) in ('string', 'number') and name in (
            'email', 'givenName', 'familyName', 'firstName', 'lastName', 'ticketName',
            'phone', 'dateOfBirth', 'documentNumber', 'address', 'owner', 'contactEmail'
        ) then
            kept := kept || jsonb_build_array(told);
            told := jsonb_build_object('§personal', jsonb_array_length(kept) - 1);
        end if;
    end $$
    """)
    op.execute("""
    with apart as materialized (
        select e.id, b.told as before, a.told as after, '{"values":' || a.kept::text || '}' as personal,
            uuid_send(gen_random_uuid()) as salt
        from audit_entries e, audit_apart('', e.before, '[]') b, audit_apart('', e.after, b.kept) a
        where a.kept <> '[]' and concat(e.before, e.after) ~ (
            '"(email|givenName|familyName|firstName|lastName|ticketName'
            '|phone|dateOfBirth|documentNumber|address|owner|contactEmail)"'
        )
    )
    update audit_entries e set before = apart.before, after = apart.after, personal = apart.personal,
        personal_salt = apart.salt, personal_digest = sha256(apart.salt || convert_to(apart.personal, 'UTF8'))
    from apart where apart.id = e.id
    """)
    op.execute("""
    drop function audit_apart(text, jsonb, jsonb)
    """)
    op.execute("""
    create function audit_refuse() returns trigger language plpgsql as $$
    declare
        doing text := coalesce(current_setting('portal.audit', true), '');
        owner name := (select pg_get_userbyid(relowner) from pg_class where oid = tg_relid);
    begin
        if current_user = owner and tg_op = 'DELETE' and doing = 'retire' then
            return old;
        end if;
        if current_user = owner and tg_op = 'UPDATE' and doing = 'erase' and tg_table_name = 'audit_entries' then
            if (to_jsonb(new) - '{personal,personal_salt}'::text[]) = (to_jsonb(old) - '{personal,personal_salt}'::text[])
                and new.personal is null and new.personal_salt is null then
                return new;
            end if;
        end if;
        raise exception 'The audit trail is append-only: % is refused.', lower(tg_op)
            using errcode = 'insufficient_privilege';
    end $$
    """)
    op.execute("""
    create trigger audit_entries_stay before update or delete on audit_entries
        for each row execute function audit_refuse()
    """)
    op.execute("""
    create trigger audit_entries_whole before truncate on audit_entries
        for each statement execute function audit_refuse()
    """)
    op.execute("""
    create trigger audit_seals_stay before update or delete on audit_seals
        for each row execute function audit_refuse()
    """)
    op.execute("""
    create trigger audit_seals_whole before truncate on audit_seals
        for each statement execute function audit_refuse()
    """)
    op.execute("""
    create function audit_erase(of uuid, kinds text[], ids text[], words text[]) returns bigint
    language plpgsql security definer set search_path = public, pg_temp as $$
    declare
        count bigint;
    begin
        perform set_config('portal.audit', 'erase', true);
        update audit_entries e set personal = null, personal_salt = null
        where e.personal is not null and (e.actor_id = of
            or (e.thing, e.thing_id) in (select * from unnest(kinds, ids))
            or exists (select from unnest(words) word
                where position(lower(to_jsonb(word)::text) in lower(e.personal)) > 0));
        get diagnostics count = row_count;
        perform set_config('portal.audit', '', true);
        return count;
    end $$
    """)
    op.execute("""
    create function audit_retire(older_than timestamptz, most bigint) returns bigint
    language plpgsql security definer set search_path = public, pg_temp as $$
    declare
        lowest bigint := (select min(position) from audit_seals);
        through bigint;
    begin
        if older_than > now() - interval '1 year' then
            raise exception 'The audit trail keeps at least a year.' using errcode = 'insufficient_privilege';
        end if;
        select min(s.position) - 1 into through from (
            select position, entry_id from audit_seals order by position limit most + 1) s
            left join audit_entries e on e.id = s.entry_id where e.happened_at >= older_than;
        through := coalesce(through, (select max(position) from (
            select position from audit_seals order by position limit most + 1) s));
        if through is null or through <= lowest then
            return 0;
        end if;
        perform set_config('portal.audit', 'retire', true);
        delete from audit_entries e using audit_seals s where s.entry_id = e.id and s.position <= through;
        delete from audit_seals where position < through;
        perform set_config('portal.audit', '', true);
        return through;
    end $$
    """)
    op.execute("""
create extension if not exists btree_gist
    """)
    op.execute("""
alter table fare_brands drop constraint pk_fare_brands,
    add constraint pk_fare_brands primary key (cabin, brand, valid_from)
    """)
    op.execute("""
alter table fare_classes drop constraint pk_fare_classes,
    add constraint pk_fare_classes primary key (cabin, letter, valid_from)
    """)
    op.execute("""
alter table fare_brands add constraint fare_brands_one_a_day
    exclude using gist (cabin with =, brand with =, daterange(valid_from, valid_to, '[]') with &&)
    """)
    op.execute("""
alter table fare_classes
    add constraint fare_classes_one_a_day
        exclude using gist (cabin with =, letter with =, daterange(valid_from, valid_to, '[]') with &&),
    add constraint fare_classes_one_place_a_day
        exclude using gist (cabin with =, position with =, daterange(valid_from, valid_to, '[]') with &&)
    """)


def downgrade() -> None:
    op.execute("""
    update preferences set seat = null where seat = 'front'
    """)
    op.execute("""
    drop function audit_retire(timestamptz, bigint)
    """)
    op.execute("""
    drop function audit_erase(uuid, text[], text[], text[])
    """)
    op.execute("""
    drop trigger audit_entries_stay on audit_entries
    """)
    op.execute("""
    drop trigger audit_entries_whole on audit_entries
    """)
    op.execute("""
    drop trigger if exists audit_seals_stay on audit_seals
    """)
    op.execute("""
    drop trigger if exists audit_seals_whole on audit_seals
    """)
    op.execute("""
    drop function audit_refuse() cascade
    """)
    op.execute("""
    create function audit_together(told jsonb, kept jsonb) returns jsonb language plpgsql as $$
    begin
        if jsonb_typeof(told) = 'object' and told ? '§personal' then
            return coalesce(kept -> (told ->> '§personal')::integer, 'null');
        elsif jsonb_typeof(told) = 'object' then
            return (select coalesce(jsonb_object_agg(key, audit_together(value, kept)), '{}') from jsonb_each(told));
        elsif jsonb_typeof(told) = 'array' then
            return (select coalesce(jsonb_agg(audit_together(value, kept) order by position), '[]')
                from jsonb_array_elements(told) with ordinality as each (value, position));
        end if;
        return told;
    end $$
    """)
    op.execute("""
    update audit_entries set before = audit_together(before, personal::jsonb -> 'values'),
        after = audit_together(after, personal::jsonb -> 'values')
    where before::text like '%"§personal"%' or after::text like '%"§personal"%'
    """)
    op.execute("""
    drop function audit_together(jsonb, jsonb)
    """)
    op.execute("""
alter table fare_brands drop constraint fare_brands_one_a_day
    """)
    op.execute("""
alter table fare_classes drop constraint fare_classes_one_a_day, drop constraint fare_classes_one_place_a_day
    """)
    op.execute("""
delete from fare_brands where valid_from > current_date or valid_to < current_date
    """)
    op.execute("""
delete from fare_classes where valid_from > current_date or valid_to < current_date
    """)
    op.execute("""
alter table fare_brands drop constraint pk_fare_brands, add constraint pk_fare_brands primary key (cabin, brand)
    """)
    op.execute("""
alter table fare_classes drop constraint pk_fare_classes, add constraint pk_fare_classes primary key (cabin, letter)
    """)
    op.execute("""
    update waits set state = 'lapsed', ended_at = now() where onward_id is not null and state in ('waiting', 'offered')
    """)
    op.execute("alter table fare_brands drop constraint if exists ck_fare_brands_valid_in_order")
    op.execute("alter table fare_classes drop constraint if exists ck_fare_classes_valid_in_order")
    op.execute("alter table preferences drop constraint if exists ck_preferences_seat_known")
    op.execute("alter table waits drop constraint if exists ck_waits_goes_on")
    op.drop_constraint(op.f("fk_waits_onward_id"), "waits", type_="foreignkey")
    op.drop_index("ix_waits_onward", table_name="waits", postgresql_where=sa.text("state = 'waiting'"))
    op.drop_index("uq_waits_once", table_name="waits", postgresql_where=sa.text("state in ('waiting', 'offered')"))
    op.create_index(
        op.f("uq_waits_once"),
        "waits",
        ["flight_id", "cabin", sa.literal_column("lower(email::text)")],
        unique=True,
        postgresql_where="((state)::text = ANY ((ARRAY['waiting'::character varying, 'offered'::character varying])::text[]))",
    )
    op.drop_column("waits", "onward_id")
    op.drop_column("users", "closed_at")
    op.drop_column("users", "password_changed_at")
    op.drop_column("users", "credentials_version")
    op.drop_constraint(op.f("uq_sign_ins_id"), "sign_ins", type_="unique")
    op.drop_column("sign_ins", "factor_at")
    op.drop_column("sign_ins", "proved_at")
    op.drop_column("sign_ins", "id")
    op.drop_column("refresh_tokens", "agent")
    op.drop_column("refresh_tokens", "address")
    op.drop_column("refresh_tokens", "began_at")
    op.drop_column("preferences", "keep_address")
    op.drop_column("payments", "return_url")
    op.drop_column("passengers", "stays_off")
    op.drop_constraint(op.f("fk_no_shows_ticket_number_coupon_position"), "no_shows", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_no_shows_ticket_number_coupon_position"),
        "no_shows",
        "coupons",
        ["ticket_number", "coupon_position"],
        ["ticket_number", "position"],
        ondelete="CASCADE",
    )
    op.drop_column("flight_days", "no_shows")
    op.drop_column("flight_days", "ticketed")
    op.create_unique_constraint(
        op.f("uq_fare_classes_cabin_position"),
        "fare_classes",
        ["cabin", "position"],
        postgresql_nulls_not_distinct=False,
    )
    op.drop_column("fare_classes", "valid_to")
    op.drop_column("fare_classes", "valid_from")
    op.drop_column("fare_brands", "valid_to")
    op.drop_column("fare_brands", "valid_from")
    op.drop_index(
        "ix_documents_amendment_id", table_name="documents", postgresql_where=sa.text("amendment_id is not null")
    )
    op.drop_constraint(op.f("fk_check_ins_ticket_number_coupon_position"), "check_ins", type_="foreignkey")
    op.create_foreign_key(
        op.f("fk_check_ins_ticket_number_coupon_position"),
        "check_ins",
        "coupons",
        ["ticket_number", "coupon_position"],
        ["ticket_number", "position"],
        ondelete="CASCADE",
    )
    op.drop_column("check_ins", "told_seat")
    op.drop_index(
        "ix_booking_items_amendment_id",
        table_name="booking_items",
        postgresql_where=sa.text("amendment_id is not null"),
    )
    op.drop_index("ix_audit_entries_transaction", table_name="audit_entries")
    op.drop_index(
        "ix_audit_entries_actor_id", table_name="audit_entries", postgresql_where=sa.text("actor_id is not null")
    )
    op.drop_column("audit_entries", "personal_digest")
    op.drop_column("audit_entries", "personal_salt")
    op.drop_column("audit_entries", "personal")
    op.drop_column("audit_entries", "transaction")
    op.drop_column("audit_entries", "means")
    op.drop_column("audit_entries", "role")
    op.drop_index(
        "ix_amendments_over", table_name="amendments", postgresql_where=sa.text("state in ('lapsed', 'withdrawn')")
    )
    op.drop_column("affected_bookings", "items")
    op.drop_index(op.f("ix_later_erasures_due_at"), table_name="later_erasures")
    op.drop_table("later_erasures")
    op.drop_index(op.f("ix_remembered_browsers_user_id"), table_name="remembered_browsers")
    op.drop_index(op.f("ix_remembered_browsers_expires_at"), table_name="remembered_browsers")
    op.drop_table("remembered_browsers")
    op.drop_table("recovery_codes")
    op.drop_index(op.f("ix_passkeys_user_id"), table_name="passkeys")
    op.drop_table("passkeys")
    op.drop_table("known_browsers")
    op.drop_index(op.f("ix_identities_user_id"), table_name="identities")
    op.drop_table("identities")
    op.drop_index(op.f("ix_half_sign_ins_user_id"), table_name="half_sign_ins")
    op.drop_index(op.f("ix_half_sign_ins_expires_at"), table_name="half_sign_ins")
    op.drop_table("half_sign_ins")
    op.drop_index(
        "uq_data_copies_underway", table_name="data_copies", postgresql_where=sa.text("state in ('waiting', 'running')")
    )
    op.drop_index("ix_data_copies_user_id_asked_at", table_name="data_copies")
    op.drop_table("data_copies")
    op.drop_table("authenticators")
    op.drop_index(op.f("ix_api_keys_user_id"), table_name="api_keys")
    op.drop_table("api_keys")
    op.drop_index(op.f("ix_spent_challenges_expires_at"), table_name="spent_challenges")
    op.drop_table("spent_challenges")
    op.drop_table("sales_facts")
    op.drop_index("ix_pending_accounts_email", table_name="pending_accounts")
    op.drop_index("ix_pending_accounts_created_at", table_name="pending_accounts")
    op.drop_table("pending_accounts")
    op.drop_index("uq_erasures_asked", table_name="erasures", postgresql_where=sa.text("state = 'asked'"))
    op.drop_index("ix_erasures_due", table_name="erasures", postgresql_where=sa.text("state = 'asked'"))
    op.drop_table("erasures")
    op.drop_index("uq_audit_seals_entry_id", table_name="audit_seals")
    op.drop_table("audit_seals")
    op.execute(
        """alter table preferences add constraint ck_preferences_seat_known CHECK (((seat)::text = ANY ((ARRAY['window'::character varying, 'aisle'::character varying])::text[])))"""
    )
