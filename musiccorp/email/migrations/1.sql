CREATE TABLE mail (
    id          TEXT PRIMARY KEY,
    -- Reference of the customer and the kind of mail: the natural key, one of each kind.
    customer    TEXT NOT NULL,
    kind        TEXT NOT NULL,
    recipient   TEXT NOT NULL,
    name        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    body        TEXT NOT NULL,
    queued      TEXT NOT NULL,
    -- Absent until it is in our mailbox or a mail server has taken it.
    sent        TEXT,
    -- Nobody else tries to send it before this moment.
    leased      TEXT,
    -- The event that asked for it: what is emitted later names it as its cause.
    event_id    TEXT NOT NULL,
    correlation TEXT NOT NULL,
    traceparent TEXT NOT NULL,
    UNIQUE (customer, kind)
);
CREATE INDEX mail_queued ON mail (queued, id);
CREATE INDEX mail_waiting ON mail (queued) WHERE sent IS NULL;
