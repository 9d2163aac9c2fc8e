CREATE TABLE pack (
    id       TEXT PRIMARY KEY,
    -- Reference of the customer: the natural key, one welcome pack each.
    customer TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    posted   TEXT NOT NULL
);
CREATE INDEX pack_posted ON pack (posted, id);
