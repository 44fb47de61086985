-- +goose Up

-- A replay pages through events in the order they came.
CREATE INDEX outbound_event_seq ON outbound_event (seq);

-- +goose Down
DROP INDEX outbound_event_seq;
