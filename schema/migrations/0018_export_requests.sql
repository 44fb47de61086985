-- +goose Up

-- Records that somebody in Odoo chose to be exported: stored with the event that
-- asked for it, so that a request that was acknowledged is carried out.
CREATE TABLE export_request (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event        text        NOT NULL,              -- outbound_event.id: an event that comes again asks nothing again
    job          text        NOT NULL DEFAULT '',   -- that exports them; empty: none was chosen yet
    connection   text        NOT NULL,              -- where the records are
    system       text        NOT NULL,              -- the connection that they are to go to, as the person chose it
    model        text        NOT NULL,
    ids          text[]      NOT NULL,
    by           text        NOT NULL DEFAULT '',
    state        text        NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'running', 'done', 'parked', 'discarded')),
    run          text        NOT NULL DEFAULT '',   -- that exports them, or did; its id is chosen before it is started
    attempt      int         NOT NULL DEFAULT 0,    -- so many runs were chosen
    code         text        NOT NULL DEFAULT '',   -- parked: the cause
    message      text        NOT NULL DEFAULT '',
    resolution   text        NOT NULL DEFAULT '',
    note         text        NOT NULL DEFAULT '',   -- what became of it, in numbers; or who discarded it, and why
    requested_at timestamptz NOT NULL,
    received_at  timestamptz NOT NULL DEFAULT now(),
    settled_at   timestamptz,
    UNIQUE (event, job)
);
CREATE INDEX export_request_open ON export_request (state, id) WHERE state IN ('waiting', 'running', 'parked');
CREATE INDEX export_request_run ON export_request (run) WHERE run <> '';
CREATE INDEX export_request_last ON export_request (connection, system, settled_at) WHERE state = 'done';
CREATE INDEX export_request_settled ON export_request (settled_at) WHERE settled_at IS NOT NULL;

-- What a connection was told last of the systems that records can be exported to.
CREATE TABLE export_offer (
    connection text PRIMARY KEY REFERENCES connection(name),
    systems    jsonb       NOT NULL,
    told_at    timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE export_offer, export_request;
