-- The columns named *_key hold the text in lower case, for search.
CREATE TABLE artist (
    id       TEXT PRIMARY KEY,
    name     TEXT NOT NULL,
    name_key TEXT NOT NULL
);
CREATE INDEX artist_name ON artist (name_key, id);

CREATE TABLE album (
    id             TEXT PRIMARY KEY,
    artist         TEXT NOT NULL REFERENCES artist (id),
    title          TEXT NOT NULL,
    title_key      TEXT NOT NULL,
    year           BIGINT,
    description    TEXT,
    price_minor    BIGINT,
    price_currency TEXT
);
CREATE INDEX album_title ON album (title_key, id);
CREATE INDEX album_artist ON album (artist, year, title_key);

CREATE TABLE track (
    id             TEXT PRIMARY KEY,
    album          TEXT NOT NULL REFERENCES album (id),
    number         BIGINT NOT NULL,
    title          TEXT NOT NULL,
    title_key      TEXT NOT NULL,
    length_ms      BIGINT,
    price_minor    BIGINT,
    price_currency TEXT,
    UNIQUE (album, number)
);
CREATE INDEX track_title ON track (title_key, id);
