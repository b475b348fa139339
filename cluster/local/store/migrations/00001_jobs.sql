-- +goose Up
CREATE TABLE jobs (
    seq      INTEGER PRIMARY KEY AUTOINCREMENT, -- the order of submits
    id       TEXT NOT NULL UNIQUE,
    name     TEXT NOT NULL,
    owner    TEXT NOT NULL,
    queue    TEXT NOT NULL,
    phase    TEXT NOT NULL,
    over     INTEGER NOT NULL,
    finished INTEGER NOT NULL,                  -- unix milliseconds; 0: not over
    job      BLOB NOT NULL,                     -- nexus.Job
    kept     BLOB NOT NULL                      -- what only this place needs
);
CREATE INDEX jobs_name ON jobs (name, seq);
CREATE INDEX jobs_live ON jobs (seq) WHERE over = 0;
CREATE INDEX jobs_over ON jobs (finished, seq) WHERE over = 1;

CREATE TABLE submits (
    owner TEXT NOT NULL,
    key   TEXT NOT NULL,
    id    TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (owner, key)
) WITHOUT ROWID;
CREATE INDEX submits_id ON submits (id);

CREATE TABLE events (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,                   -- unix nanoseconds
    job     TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    kind    TEXT NOT NULL,
    message TEXT NOT NULL
);

CREATE TABLE marks (
    name  TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) WITHOUT ROWID;
