-- +goose Up

-- Field mappings as data. A changed mapping is a new version; runs name theirs.
CREATE TABLE mapping (
    name       text        NOT NULL CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    version    int         NOT NULL,
    spec       jsonb       NOT NULL,
    digest     text        NOT NULL,              -- of its content, whatever its form
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (name, version)
);

-- What is kept in step, between which systems, and how.
CREATE TABLE job (
    name       text PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    source     text        NOT NULL REFERENCES connection(name),
    target     text        NOT NULL REFERENCES connection(name),
    kind       text        NOT NULL,
    spec       jsonb       NOT NULL,
    revision   bigint      NOT NULL DEFAULT 1,
    active     boolean     NOT NULL DEFAULT true,
    watermark  timestamptz,                       -- source clock: everything changed before is in the target
    updated_at timestamptz NOT NULL DEFAULT now()
);

-- One row per run: the sync log.
CREATE TABLE run (
    id              text PRIMARY KEY,             -- from the job and when it was asked for, so that a repeated start is the same run
    job             text        NOT NULL REFERENCES job(name),
    mode            text        NOT NULL,
    job_revision    bigint      NOT NULL,
    mapping         text        NOT NULL,
    mapping_version int         NOT NULL,
    source_now      timestamptz NOT NULL,         -- the source's own clock when it began: the next watermark
    since           timestamptz,                  -- the window, by the source's clock; null: unbounded
    until           timestamptz,
    counted_before  bigint      NOT NULL,         -- what the source said it held in the window
    counted_after   bigint,
    status          text        NOT NULL DEFAULT 'running', -- success, partial, incomplete, failed, stopped
    asked           text,                         -- pause, abort: what a person wants of it
    asked_by        text,
    asked_why       text,
    sentence        text        NOT NULL DEFAULT '',
    started_at      timestamptz NOT NULL DEFAULT now(),
    ended_at        timestamptz
);
-- The lease of a job: two runs at once would write over each other.
CREATE UNIQUE INDEX run_of_job ON run (job) WHERE status = 'running';
CREATE INDEX run_started ON run (job, started_at);

-- The page ledger. A page that is done again replaces its row, so it counts once.
CREATE TABLE run_page (
    run    text        NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    lane   int         NOT NULL,
    page   int         NOT NULL,
    after  text        NOT NULL,                  -- cursor that it was read from
    next   text        NOT NULL,                  -- cursor behind it; '': the lane is done
    counts jsonb       NOT NULL,                  -- fetched, created, …: name -> number
    at     timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, lane, page)
);

-- What a record was when it was last in step: the base of the three-way merge,
-- and what each side was seen to be, which tells echoes from changes.
CREATE TABLE synced (
    job             text        NOT NULL REFERENCES job(name),
    external_id     text        NOT NULL,
    target_id       text        NOT NULL,
    source_seen     text        NOT NULL DEFAULT '',
    target_seen     text        NOT NULL DEFAULT '',
    snapshot        jsonb       NOT NULL,
    mapping_version int         NOT NULL,
    run             text        NOT NULL,
    at              timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (job, external_id)
);
CREATE INDEX synced_target ON synced (job, target_id);

-- +goose Down
DROP TABLE synced, run_page, run, job, mapping;
