-- +goose Up

-- Records that are in step by the book and were not read by a run that read
-- everything: found once, gone through page by page.
CREATE TABLE run_gone (
    run         text NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    external_id text NOT NULL,
    PRIMARY KEY (run, external_id)
);

-- +goose Down
DROP TABLE run_gone;
