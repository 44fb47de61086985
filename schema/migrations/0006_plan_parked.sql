-- +goose Up

-- Records that a plan could not carry over, and why. A plan parks nothing: what
-- is wrong is to be seen before anything is written.
CREATE TABLE plan_parked (
    run         text NOT NULL REFERENCES run(id) ON DELETE CASCADE,
    external_id text NOT NULL,
    code        text NOT NULL,
    message     text NOT NULL,
    resolution  text NOT NULL DEFAULT '',
    field       text NOT NULL DEFAULT '',
    fingerprint text NOT NULL,
    detail      text NOT NULL DEFAULT '',
    PRIMARY KEY (run, external_id)
);
CREATE INDEX plan_parked_family ON plan_parked (run, fingerprint);

-- +goose Down
DROP TABLE plan_parked;
