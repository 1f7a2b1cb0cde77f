-- Whether a document may contain this: what is no document that JSONB can hold may. Who asks looks at what was found.
CREATE FUNCTION langopen_may_contain(p_document TEXT, p_part JSONB) RETURNS BOOLEAN LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    RETURN p_document::JSONB @> p_part;
EXCEPTION WHEN data_exception OR program_limit_exceeded THEN
    RETURN TRUE;
END $$;
