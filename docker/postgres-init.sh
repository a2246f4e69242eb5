#!/usr/bin/env bash
# The PostgreSQL image runs this once, on an empty volume. It creates the two roles and the database with its extensions.
# The application role owns no objects and cannot bypass row-level security.
set -euo pipefail
: "${DIANMING_OWNER_PASSWORD:?}" "${DIANMING_APP_PASSWORD:?}"

# Passwords are passed as psql variables, so that no character in them can end a statement.
psql --no-psqlrc --set ON_ERROR_STOP=1 --username "${POSTGRES_USER:-postgres}" --dbname postgres \
    --set owner_password="$DIANMING_OWNER_PASSWORD" --set app_password="$DIANMING_APP_PASSWORD" <<'SQL'
CREATE ROLE dianming_owner LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'owner_password';
CREATE ROLE dianming_app LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS
    PASSWORD :'app_password';
CREATE DATABASE dianming OWNER dianming_owner TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8';
\connect dianming
CREATE EXTENSION postgis;
CREATE EXTENSION ltree;
CREATE EXTENSION pgcrypto;
CREATE EXTENSION btree_gist;
CREATE EXTENSION pg_trgm;
SQL
