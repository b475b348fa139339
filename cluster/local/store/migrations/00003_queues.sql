-- +goose Up
CREATE TABLE queues (
    name TEXT PRIMARY KEY,
    doc  BLOB NOT NULL                          -- nexus.Queue
) WITHOUT ROWID;

-- What users had of queues, decayed: nexus.QueueUse.
CREATE TABLE uses (
    queue    TEXT NOT NULL,
    owner    TEXT NOT NULL,
    gpu_time INTEGER NOT NULL,
    cpu_time INTEGER NOT NULL,
    at       INTEGER NOT NULL,                  -- unix milliseconds
    PRIMARY KEY (queue, owner)
) WITHOUT ROWID;

-- What users had of queues, by the hour in which they had it.
CREATE TABLE history (
    hour     INTEGER NOT NULL,                  -- of unix time
    queue    TEXT NOT NULL,
    owner    TEXT NOT NULL,
    gpu_time INTEGER NOT NULL,                  -- thousandths of a GPU times milliseconds
    cpu_time INTEGER NOT NULL,
    attempts INTEGER NOT NULL,                  -- that began in this hour
    jobs     INTEGER NOT NULL,                  -- that were over in this hour
    waited   INTEGER NOT NULL,                  -- milliseconds in line before the attempts
    PRIMARY KEY (hour, queue, owner)
) WITHOUT ROWID;
