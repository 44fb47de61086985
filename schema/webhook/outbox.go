package webhook

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"towpath/schema/fault"
)

// OutboxRow is a row as the module in Odoo hands it out (towpath.outbox, claim).
// XML-RPC knows no null, so that what is absent is false.
type OutboxRow struct {
	ID            int64           `json:"id"` // the sequence number; what ack takes
	EventID       string          `json:"event_id"`
	Event         string          `json:"event"`
	Action        Action          `json:"action"`
	Model         string          `json:"model"`
	RecordID      json.RawMessage `json:"res_id"` // a number or false
	OccurredAt    time.Time       `json:"occurred_at"`
	Data          json.RawMessage `json:"data"`
	OldValues     json.RawMessage `json:"old_values"`     // an object or false
	ChangedFields json.RawMessage `json:"changed_fields"` // a list or false
	Thin          bool            `json:"thin"`
}

// ReadOutbox reads rows from the JSON of the module's answer. Numbers keep their
// digits, which they would not through Go's floats: hand in the answer's own text
// where there is one.
func ReadOutbox(raw []byte) (rows []OutboxRow, err error) {
	if err := json.Unmarshal(raw, &rows); err != nil {
		return nil, fault.New(fault.Invalid, "webhook.outbox_unreadable", "the outbox of Odoo answers something else than its rows").
			WithResolution("the module in Odoo and Towpath do not fit: update both to the same release").WithCause(err)
	}
	return rows, nil
}

// From gives the row as an event of a connection. Where the catalogue knows a
// named type's field to be empty, Odoo's false becomes null, as its schema says;
// of other models nobody knows whether false is empty or no.
func (r OutboxRow) From(connection string) (Event, error) {
	e := Event{
		ID: r.EventID, Type: r.Event, Connection: connection, Model: r.Model, Action: r.Action,
		OccurredAt: r.OccurredAt.UTC(), Sequence: r.ID, Data: r.Data, Thin: r.Thin,
	}
	var id int64
	if !isFalse(r.RecordID) {
		if err := json.Unmarshal(r.RecordID, &id); err != nil {
			return Event{}, unreadable("res_id", err)
		}
	}
	if id != 0 {
		e.RecordID = strconv.FormatInt(id, 10)
	}
	if !isFalse(r.OldValues) {
		e.Old = r.OldValues
	}
	if !isFalse(r.ChangedFields) {
		if err := json.Unmarshal(r.ChangedFields, &e.Changed); err != nil {
			return Event{}, unreadable("changed_fields", err)
		}
	}
	if err := e.Check(); err != nil {
		return Event{}, err
	}
	known, found := Lookup(e.Type)
	if !found {
		return e, nil
	}
	var err error
	if e.Data, err = known.data.filled(e.Data); err != nil {
		return Event{}, unreadable("data", err)
	}
	if len(e.Old) > 0 {
		if e.Old, err = known.data.filled(e.Old); err != nil {
			return Event{}, unreadable("old_values", err)
		}
	}
	return e, nil
}

func unreadable(field string, cause error) error {
	return fault.New(fault.Invalid, "webhook.event_invalid", "the event's %s cannot be read", field).WithField(field).
		WithResolution("the module in Odoo and Towpath do not fit: update both to the same release").WithCause(cause)
}

func isFalse(raw json.RawMessage) bool {
	text := string(bytes.TrimSpace(raw))
	return text == "" || text == "false" || text == "null"
}

// filled writes null for what the schema says may be absent, and nothing else anew.
func (n node) filled(raw json.RawMessage) (json.RawMessage, error) {
	switch {
	case n.nullable() && isFalse(raw):
		return json.RawMessage("null"), nil
	case len(n.Properties) > 0 && first(raw) == '{':
		list, err := members(raw)
		if err != nil {
			return nil, err
		}
		var o object
		for _, m := range list {
			value, err := n.Properties[m.name].filled(m.value)
			if err != nil {
				return nil, err
			}
			o.raw(m.name, value)
		}
		return o.bytes(), nil
	case n.Items != nil && first(raw) == '[':
		var items []json.RawMessage
		if err := json.Unmarshal(raw, &items); err != nil {
			return nil, err
		}
		for i := range items {
			var err error
			if items[i], err = n.Items.filled(items[i]); err != nil {
				return nil, err
			}
		}
		return listOf(items), nil
	}
	return raw, nil
}
