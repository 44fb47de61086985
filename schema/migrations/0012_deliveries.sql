-- +goose Up

-- Where events are told to. The spec holds no secrets; they rest sealed.
CREATE TABLE webhook_endpoint (
    name        text PRIMARY KEY CHECK (name ~ '^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$'),
    spec        jsonb       NOT NULL,              -- schema/webhook.Endpoint
    secrets     jsonb       NOT NULL DEFAULT '{}', -- field -> sealed envelope
    revision    bigint      NOT NULL DEFAULT 1,    -- raised by every change; processes compile anew on it
    active      boolean     NOT NULL DEFAULT true, -- false: an operator wants no deliveries made
    disabled    text,                              -- why Towpath stopped delivering: what is due waits
    disabled_at timestamptz,
    old_until   timestamptz,                       -- then signing secrets but the newest count no more
    created_at  timestamptz NOT NULL DEFAULT now(),
    updated_at  timestamptz NOT NULL DEFAULT now()
);

-- How an endpoint does, shared by all workers: written when an attempt fails or
-- its circuit is not closed, not by every delivery.
CREATE TABLE endpoint_state (
    endpoint      text PRIMARY KEY REFERENCES webhook_endpoint(name) ON DELETE CASCADE,
    circuit       text        NOT NULL DEFAULT 'closed' CHECK (circuit IN ('closed', 'open', 'half_open')),
    failures      int         NOT NULL DEFAULT 0,  -- in a row
    failing_since timestamptz,                     -- only failures since then
    opened_at     timestamptz,
    probe_at      timestamptz,                     -- one attempt may go then; null while closed, or held by a person
    trips         int         NOT NULL DEFAULT 0,  -- openings without a success between: probes grow rarer
    held_by       text,                            -- who tripped it by hand: no probe until reset
    width         int         NOT NULL DEFAULT 20, -- deliveries that may be under way: grows again after a closing
    cool_until    timestamptz NOT NULL DEFAULT '-infinity', -- Retry-After: no attempt before
    paced_at      timestamptz NOT NULL DEFAULT '-infinity'  -- rate limit: the next slot that nobody has
) WITH (fillfactor = 50);

-- What happened, once per event; its id is the webhook-id of every delivery.
CREATE TABLE outbound_event (
    id          text PRIMARY KEY CHECK (id <> '' AND length(id) <= 200),
    seq         bigint GENERATED ALWAYS AS IDENTITY,
    connection  text        NOT NULL,
    type        text        NOT NULL,              -- sale.order.created
    model       text        NOT NULL DEFAULT '',
    record_id   text        NOT NULL DEFAULT '',
    content     text        NOT NULL,              -- schema/webhook.Event as JSON, numbers as they came
    test        boolean     NOT NULL DEFAULT false,
    occurred_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE outbound_event ALTER COLUMN content SET COMPRESSION lz4;
CREATE INDEX outbound_event_received ON outbound_event (received_at);
CREATE INDEX outbound_event_record ON outbound_event (connection, model, record_id, seq);

-- One row per event and endpoint (protocol P5).
CREATE TABLE delivery (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    endpoint    text        NOT NULL REFERENCES webhook_endpoint(name),
    event       text        NOT NULL REFERENCES outbound_event(id),
    type        text        NOT NULL,              -- the event's, for lists and counts
    stream      text        NOT NULL DEFAULT '',   -- what it keeps its order in; empty: none
    holds       boolean     NOT NULL DEFAULT false, -- parked, it holds its stream
    state       text        NOT NULL CHECK (state IN ('waiting', 'ready', 'running', 'retrying', 'accepted', 'ok', 'parked', 'superseded', 'discarded')),
    priority    smallint    NOT NULL DEFAULT 3,    -- 1 a person waits … 5 replay
    generation  int         NOT NULL DEFAULT 1,    -- raised by whoever delivers it again
    attempts    int         NOT NULL DEFAULT 0,    -- of this generation
    tried       int         NOT NULL DEFAULT 0,    -- of all generations
    due_at      timestamptz,                       -- ready: may start; running, retrying: lost when past; accepted: deadline
    reserved_at timestamptz,                       -- its slot of the endpoint's rate limit
    began_at    timestamptz NOT NULL DEFAULT now(), -- of this generation: the retry profile's clock
    status      int,                               -- of the last answer
    code        text        NOT NULL DEFAULT '',   -- of the last fault
    message     text        NOT NULL DEFAULT '',
    resolution  text        NOT NULL DEFAULT '',
    by          text        NOT NULL DEFAULT '',   -- who delivered it again or discarded it, and why
    created_at  timestamptz NOT NULL DEFAULT now(),
    settled_at  timestamptz,
    UNIQUE (endpoint, event)
) WITH (fillfactor = 70);
CREATE INDEX delivery_due ON delivery (endpoint, priority, due_at, id) WHERE state = 'ready';
CREATE INDEX delivery_running ON delivery (endpoint, due_at) WHERE state IN ('running', 'retrying');
CREATE INDEX delivery_accepted ON delivery (due_at) WHERE state = 'accepted';
CREATE INDEX delivery_stream ON delivery (endpoint, stream, id) WHERE stream <> '' AND state IN ('waiting', 'ready', 'running', 'retrying', 'accepted', 'parked');
CREATE INDEX delivery_parked ON delivery (endpoint, id) WHERE state = 'parked';
CREATE INDEX delivery_event ON delivery (event);
CREATE INDEX delivery_settled ON delivery (settled_at) WHERE settled_at IS NOT NULL;

-- One row per HTTP attempt: what was sent and answered, cut and redacted.
CREATE TABLE delivery_attempt (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    delivery   bigint      NOT NULL REFERENCES delivery(id) ON DELETE CASCADE,
    endpoint   text        NOT NULL,
    type       text        NOT NULL,
    generation int         NOT NULL,
    attempt    int         NOT NULL,
    at         timestamptz NOT NULL DEFAULT now(),
    took_ms    int         NOT NULL,
    outcome    text        NOT NULL, -- delivered, retry, park, disable
    status     int         NOT NULL DEFAULT 0, -- 0: no answer
    code       text        NOT NULL DEFAULT '',
    message    text        NOT NULL DEFAULT '',
    request    text        NOT NULL DEFAULT '',
    response   text        NOT NULL DEFAULT ''
);
ALTER TABLE delivery_attempt ALTER COLUMN request SET COMPRESSION lz4;
ALTER TABLE delivery_attempt ALTER COLUMN response SET COMPRESSION lz4;
CREATE INDEX delivery_attempt_delivery ON delivery_attempt (delivery, id);
CREATE INDEX delivery_attempt_endpoint ON delivery_attempt (endpoint, at);
CREATE INDEX delivery_attempt_at ON delivery_attempt (at);

-- Attempts that were deleted, summed up: the counters outlive them.
CREATE TABLE delivery_hour (
    endpoint text        NOT NULL,
    type     text        NOT NULL,
    hour     timestamptz NOT NULL,
    outcome  text        NOT NULL,
    code     text        NOT NULL,
    attempts bigint      NOT NULL,
    took_ms  bigint      NOT NULL, -- the sum
    PRIMARY KEY (endpoint, type, hour, outcome, code)
);

-- How far the events of a connection have been read, where its system keeps no
-- outbox of its own.
CREATE TABLE event_cursor (
    connection text PRIMARY KEY REFERENCES connection(name),
    cursor     text        NOT NULL,
    moved_at   timestamptz NOT NULL DEFAULT now()
);

-- +goose Down
DROP TABLE event_cursor, delivery_hour, delivery_attempt, delivery, outbound_event, endpoint_state, webhook_endpoint;
