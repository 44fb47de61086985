-- +goose Up

-- What a connection is known to have goes with it.
DELETE FROM polled_record WHERE connection NOT IN (SELECT name FROM connection);
ALTER TABLE polled_record ADD CONSTRAINT polled_record_connection FOREIGN KEY (connection) REFERENCES connection(name) ON DELETE CASCADE;

-- +goose Down
ALTER TABLE polled_record DROP CONSTRAINT polled_record_connection;
