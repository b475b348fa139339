-- +goose Up
CREATE TABLE lessons (
    one INTEGER PRIMARY KEY CHECK (one = 1),    -- there is one row
    doc BLOB NOT NULL                           -- nexus.History
);
