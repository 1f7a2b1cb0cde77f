-- The embeddings of the texts in store items: vectors of 32-bit floats, little-endian, as sqlite-vec reads them.

CREATE TABLE store_vectors (
    tenant TEXT NOT NULL,
    namespace TEXT NOT NULL,
    key TEXT NOT NULL,
    path TEXT NOT NULL, -- the path of the text in the item's value
    vector BLOB NOT NULL,
    PRIMARY KEY (tenant, namespace, key, path),
    FOREIGN KEY (tenant, namespace, key) REFERENCES store_items ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
