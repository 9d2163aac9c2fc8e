CREATE TABLE customer (
    id        TEXT PRIMARY KEY,
    firstname TEXT NOT NULL,
    lastname  TEXT NOT NULL,
    email     TEXT NOT NULL,
    -- The address in lower case: two customers cannot share one.
    email_key TEXT NOT NULL UNIQUE,
    state     TEXT NOT NULL,
    created   TEXT NOT NULL
);
CREATE INDEX customer_created ON customer (created, id);
