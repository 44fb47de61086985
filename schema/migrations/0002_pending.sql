-- +goose Up
-- Who counts what is pending (metrics, doctor) must not read through all that
-- is done and kept until its retention ends.
CREATE INDEX inbound_event_pending ON inbound_event (connection, kind, external_id) WHERE state = 'pending';

-- +goose Down
DROP INDEX inbound_event_pending;
