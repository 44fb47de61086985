-- +goose Up

-- Records whose counterpart is not in the target yet and is not made by their
-- job: the stock of a product that comes later. The watermark leaves them
-- behind, so the book remembers to look at them again.
CREATE TABLE awaited (
    job         text        NOT NULL REFERENCES job(name),
    external_id text        NOT NULL,
    needs       text[]      NOT NULL DEFAULT '{}',  -- connection/model:id of itself and what it refers to: one of them bound makes it due
    since       timestamptz NOT NULL DEFAULT now(), -- it is looked for again after as long as it has waited
    due_at      timestamptz NOT NULL,
    run         text        NOT NULL DEFAULT '',    -- that looks for it, or did so last
    PRIMARY KEY (job, external_id)
);
CREATE INDEX awaited_due ON awaited (job, due_at);
CREATE INDEX awaited_run ON awaited (run, external_id);
CREATE INDEX awaited_needs ON awaited USING gin (needs);

-- +goose Down
DROP TABLE awaited;
