CREATE TABLE account (
    id       TEXT PRIMARY KEY,
    -- Reference of the customer: the natural key, one account each.
    customer TEXT NOT NULL UNIQUE,
    points   BIGINT NOT NULL,
    opened   TEXT NOT NULL
);
CREATE INDEX account_opened ON account (opened, id);
