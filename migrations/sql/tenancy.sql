-- The scope of the current transaction, as backend/core/tenancy.py sets it. Every row-level security policy reads
-- these functions. Without a scope each one returns NULL (`is_wide`: false), and no policy admits a row.
CREATE SCHEMA tenancy;
CREATE FUNCTION tenancy.kind() RETURNS text LANGUAGE sql STABLE PARALLEL SAFE
  RETURN nullif(current_setting('dianming.kind', true), '');
CREATE FUNCTION tenancy.is_wide() RETURNS boolean LANGUAGE sql STABLE PARALLEL SAFE
  RETURN coalesce(tenancy.kind() = 'wide', false);
CREATE FUNCTION tenancy.path() RETURNS ltree LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.path', true), '') AS ltree);
CREATE FUNCTION tenancy.school() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.school', true), '') AS uuid);
CREATE FUNCTION tenancy.student() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.student', true), '') AS uuid);
CREATE FUNCTION tenancy.account() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  RETURN CAST(nullif(current_setting('dianming.account', true), '') AS uuid);
GRANT USAGE ON SCHEMA tenancy TO dianming_app;
