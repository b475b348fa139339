-- +goose Up
ALTER TABLE jobs ADD COLUMN array TEXT NOT NULL DEFAULT '';  -- id of the array that it is a member of
ALTER TABLE jobs ADD COLUMN family TEXT NOT NULL DEFAULT ''; -- name of that array
CREATE INDEX jobs_array ON jobs (array, over, seq) WHERE array <> '';
CREATE INDEX jobs_family ON jobs (family, over, seq) WHERE family <> '';

CREATE TABLE awaits (
    awaited TEXT NOT NULL,                      -- id of a job or of an array
    job     TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    PRIMARY KEY (awaited, job)
) WITHOUT ROWID;
CREATE INDEX awaits_job ON awaits (job);
