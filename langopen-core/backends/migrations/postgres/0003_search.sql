-- Whether a document may contain p_part. Returns true for text that JSONB cannot hold, so the caller must check each
-- row that it finds.
CREATE FUNCTION langopen_may_contain(p_document TEXT, p_part JSONB) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_document::JSONB @> p_part;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN TRUE;
END $$;
