#!/bin/sh
# Run by the PostgreSQL image when it makes the database: the role that serves. `portal migrate` gives it what it may do.
set -eu
psql -v ON_ERROR_STOP=1 -U "$POSTGRES_USER" -d "$POSTGRES_DB" -v word="$(cat /run/secrets/serving_password)" <<'SQL'
CREATE ROLE portal_app LOGIN PASSWORD :'word';
SQL
