-- +goose Up

-- Deliveries of a stream go in the order of their events. That of their own ids
-- is another where an event is told later than those after it, by a replay.
ALTER TABLE delivery ADD COLUMN seq bigint; -- the event's; null without a stream
UPDATE delivery d SET seq = o.seq FROM outbound_event o WHERE o.id = d.event AND d.stream <> '';
ALTER TABLE delivery ADD CONSTRAINT delivery_in_order CHECK (stream = '' OR seq IS NOT NULL);
DROP INDEX delivery_stream;
CREATE INDEX delivery_stream ON delivery (endpoint, stream, seq) WHERE stream <> '' AND state IN ('waiting', 'ready', 'running', 'retrying', 'accepted', 'parked');

-- +goose Down
DROP INDEX delivery_stream;
ALTER TABLE delivery DROP COLUMN seq;
CREATE INDEX delivery_stream ON delivery (endpoint, stream, id) WHERE stream <> '' AND state IN ('waiting', 'ready', 'running', 'retrying', 'accepted', 'parked');
