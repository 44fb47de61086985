-- +goose Up

-- What a run is for, who asked for it, what it reads, and how it ended.
ALTER TABLE run ADD COLUMN purpose text NOT NULL DEFAULT 'sync', -- sync, plan, approve, undo
    ADD COLUMN base_run  text,                              -- the run whose plan is carried out, or which is undone
    ADD COLUMN by        text NOT NULL DEFAULT '',
    ADD COLUMN reason    text NOT NULL DEFAULT '',
    ADD COLUMN plan      jsonb NOT NULL DEFAULT '{}',       -- windows and lanes
    ADD COLUMN target_now timestamptz,                      -- bidirectional: the target's clock when it began
    ADD COLUMN unlimited boolean NOT NULL DEFAULT false,    -- a person let it go on beyond its limits
    ADD COLUMN counts    jsonb NOT NULL DEFAULT '{}',       -- of a run that has ended
    ADD COLUMN report    jsonb NOT NULL DEFAULT '{}',       -- of a reconcile: what both sides hold, by count
    ADD COLUMN code      text NOT NULL DEFAULT '';          -- the fault it ended with

-- The way back of a bidirectional job has a watermark of its own.
ALTER TABLE job ADD COLUMN watermark_back timestamptz;      -- target clock

-- The kind under which a job's records are bound, claimed and fenced, where it
-- is not the job's own: products and their templates have the same numbers.
ALTER TABLE job ADD COLUMN binds text NOT NULL GENERATED ALWAYS AS (coalesce(nullif(spec->>'binds', ''), kind)) STORED;

-- Which records a page held: the sweep of ids compares with them.
ALTER TABLE run_page ADD COLUMN ids text NOT NULL DEFAULT '';
ALTER TABLE run_page ALTER COLUMN ids SET COMPRESSION lz4;

-- What a run means to write, is writing, or wrote: intent with before-image
-- (protocol P3.1), item of a plan, and what undo goes by.
CREATE TABLE change (
    run         text        NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    side        text        NOT NULL,             -- target, source: the side that is written
    external_id text        NOT NULL,             -- of the source's record
    connection  text        NOT NULL,
    kind        text        NOT NULL,             -- that the job's records are bound under
    op          text        NOT NULL,             -- create, update, archive
    record_id   text        NOT NULL DEFAULT '',  -- written record's id, as far as known
    xid         text        NOT NULL DEFAULT '',  -- of a record that is made
    label       text        NOT NULL DEFAULT '',  -- key fields, for people
    before      jsonb       NOT NULL DEFAULT '{}',
    after       jsonb       NOT NULL,             -- the fields to write, then as read back
    digest      text        NOT NULL,             -- of the fields to write
    cause       text        NOT NULL DEFAULT '',  -- of a drift: missing, changed_source, changed_target …
    state       text        NOT NULL,             -- planned, intent, done, refused, left
    note        text        NOT NULL DEFAULT '',
    fence       bigint      NOT NULL DEFAULT 0,
    at          timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (run, side, external_id)
);
-- Writes of which nothing was heard: other content waits for them (P3.4).
CREATE INDEX change_unheard ON change (connection, kind, external_id) WHERE state = 'intent';

-- Records of several jobs of one source may be parked beside each other.
ALTER TABLE parked ADD COLUMN job text NOT NULL DEFAULT '';
DROP INDEX parked_open;
CREATE UNIQUE INDEX parked_open ON parked (connection, kind, external_id, job) WHERE state = 'open';

-- Fields that both sides changed and a person decides on.
CREATE TABLE conflict (
    job         text        NOT NULL REFERENCES job(name),
    external_id text        NOT NULL,
    field       text        NOT NULL,
    record_id   text        NOT NULL DEFAULT '',  -- in the target
    base        jsonb       NOT NULL,
    source      jsonb       NOT NULL,
    target      jsonb       NOT NULL,
    decision    text,                             -- source, target
    decided_by  text,
    reason      text,
    since       timestamptz NOT NULL DEFAULT now(),
    decided_at  timestamptz,
    PRIMARY KEY (job, external_id, field)
);

-- +goose Down
DROP TABLE conflict, change;
DELETE FROM parked WHERE job <> '';
DROP INDEX parked_open;
CREATE UNIQUE INDEX parked_open ON parked (connection, kind, external_id) WHERE state = 'open';
ALTER TABLE parked DROP COLUMN job;
ALTER TABLE run_page DROP COLUMN ids;
ALTER TABLE job DROP COLUMN binds, DROP COLUMN watermark_back;
ALTER TABLE run DROP COLUMN purpose, DROP COLUMN base_run, DROP COLUMN by, DROP COLUMN reason, DROP COLUMN plan,
    DROP COLUMN target_now, DROP COLUMN unlimited, DROP COLUMN counts, DROP COLUMN report, DROP COLUMN code;
