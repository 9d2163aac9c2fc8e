-- Events of the followed feeds.
CREATE TABLE observed (
    event_id    TEXT PRIMARY KEY,
    producer    TEXT NOT NULL,
    type        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    correlation TEXT NOT NULL,
    at          TEXT NOT NULL
);
CREATE INDEX observed_correlation ON observed (correlation);

-- What the events of one correlation add up to.
CREATE TABLE instance (
    process     TEXT NOT NULL,
    correlation TEXT NOT NULL,
    subject     TEXT NOT NULL,
    started     TEXT NOT NULL,
    complete    BOOLEAN NOT NULL,
    -- When it is late if nothing more happens; absent where nothing has a limit.
    due         TEXT,
    PRIMARY KEY (process, correlation)
);
CREATE INDEX instance_started ON instance (started);
CREATE INDEX instance_correlation ON instance (correlation);

-- One row: the declarations that the instances were made by.
CREATE TABLE declarations (
    declared TEXT NOT NULL
);
