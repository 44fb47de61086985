-- +goose Up

-- Records that a connection which is polled for events is known to have. What is
-- gone from there and still here was deleted; the state tells business steps.
CREATE TABLE polled_record (
    connection text   NOT NULL,
    model      text   NOT NULL,
    record_id  bigint NOT NULL,
    state      text   NOT NULL DEFAULT '', -- as told last; empty: none yet
    PRIMARY KEY (connection, model, record_id)
);

-- +goose Down
DROP TABLE polled_record;
