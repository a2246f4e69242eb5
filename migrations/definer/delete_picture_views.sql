-- Deletes entries of the record of views of pictures that are older than an instant. Returns the ids that were deleted.
-- Called by: backend/retention/picture_views.py
-- Why it bypasses row-level security: the record is append-only, so the application has no DELETE on the table.
CREATE OR REPLACE FUNCTION definer.delete_picture_views(p_ids uuid[], p_before timestamptz) RETURNS SETOF uuid
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp
BEGIN ATOMIC
  DELETE FROM picture_view WHERE id = ANY (p_ids) AND at <= p_before RETURNING id;
END;
