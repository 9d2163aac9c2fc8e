-- One row: which life of this store its positions belong to.
CREATE TABLE backline_feed (
    epoch TEXT NOT NULL
);

-- AUTOINCREMENT never gives a number twice, even after the newest rows are deleted. A number is
-- taken under SQLite's write lock, so the order of positions is the order of commits.
CREATE TABLE backline_outbox (
    position    INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL UNIQUE,
    type        TEXT NOT NULL,
    subject     TEXT NOT NULL,
    time        TEXT NOT NULL,
    data        TEXT NOT NULL,
    correlation TEXT NOT NULL,
    causation   TEXT,
    traceparent TEXT NOT NULL
);

-- Every event of this epoch up to and including this position is done. A feed that began anew has
-- another row, of a higher turn; the old ones stay, so that a sibling that still works on an old
-- epoch can neither repeat an effect nor take the new epoch's place back.
CREATE TABLE backline_cursor (
    producer TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    turn     BIGINT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (producer, epoch)
);

-- Events above the cursor that are done. Emptied as the cursor passes.
CREATE TABLE backline_inbox (
    producer TEXT NOT NULL,
    epoch    TEXT NOT NULL,
    position BIGINT NOT NULL,
    PRIMARY KEY (producer, epoch, position)
);
