-- Keys, and those that are gone (no value): the index of a prefix moves with a deletion too.
-- The value stands last, so that looking for the index reads none.
CREATE TABLE kv_entry (
    key      TEXT PRIMARY KEY,
    flags    BIGINT NOT NULL,
    created  BIGINT NOT NULL,
    modified BIGINT NOT NULL,
    value    BLOB
);
CREATE INDEX kv_gone ON kv_entry (modified) WHERE value IS NULL;

-- One row: the highest index ever, the index of what never was or was forgotten, and what all
-- keys take.
CREATE TABLE kv_index (
    last  BIGINT NOT NULL,
    floor BIGINT NOT NULL,
    bytes BIGINT NOT NULL
);
