package webhook

import (
	"encoding/json"
	"regexp"
	"time"
	"unicode/utf8"

	"towpath/schema/fault"
)

// Action is what happened to a record, by Odoo's own names.
type Action string

// The actions.
const (
	Create Action = "create"
	Write  Action = "write"
	Unlink Action = "unlink"
	// Acted is a business step: an invoice validated, a lead won.
	Acted Action = "action"
	// Export is a person's request to export records to a connected system.
	Export Action = "export"
)

// The types that are not about a change of a record. Endpoints get them only
// when they are named: "*" stands for what happens in the business.
const (
	ExportRequested = "export.requested"
	TestType        = "towpath.test"
	// EndpointDisabled tells that Towpath has switched an endpoint off.
	EndpointDisabled = "towpath.endpoint.disabled"
)

// Event is something that happened, as every endpoint that wants it is told.
type Event struct {
	// ID is given once, in Odoo's own transaction, and is every delivery's webhook-id.
	ID string
	// Type is the dotted name: "sale.order.created".
	Type       string
	Connection string // where it happened
	Model      string // "sale.order"
	RecordID   string // empty where it is about no single record
	Action     Action
	OccurredAt time.Time
	// Sequence is the number in its outbox. Later is larger for one record, but
	// it is no cursor: transactions commit in another order.
	Sequence int64
	// Data is a JSON object; Old, if there is one, holds earlier values by field.
	Data, Old json.RawMessage
	Changed   []string // names of fields
	// Thin: Data names the record only, by the rule's wish.
	Thin bool
	// Test: sent by hand to see whether an endpoint works.
	Test bool
}

var (
	// identifier keeps dots out of ids: the signed text is id.timestamp.body.
	identifier = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
	// dotted is a name such as sale.order.state.changed, also x_my_model.created.
	dotted = regexp.MustCompile(`^[a-z0-9_]+(\.[a-z0-9_]+)*$`)
)

const maxTypeLength = 128

// Check refuses an event that could not be told: a fault here is a defect of
// what made the event.
func (e Event) Check() error {
	bad := func(field, problem string) error {
		return fault.New(fault.Invalid, "webhook.event_invalid", "the event's %s %s", field, problem).
			WithField(field).WithResolution("the module in Odoo and Towpath do not fit: update both to the same release")
	}
	switch {
	case !identifier.MatchString(e.ID):
		return bad("id", "is not 1 to 64 letters, digits, - and _")
	case len(e.Type) > maxTypeLength || !dotted.MatchString(e.Type):
		return bad("type", "is not a dotted name such as sale.order.created")
	case e.OccurredAt.IsZero():
		return bad("occurred_at", "is missing")
	case !isObject(e.Data):
		return bad("data", "is not a JSON object")
	case len(e.Old) > 0 && !isObject(e.Old):
		return bad("old_values", "are not a JSON object")
	}
	return nil
}

// isObject wants well-formed JSON in UTF-8 whose outermost value is an object.
func isObject(raw json.RawMessage) bool {
	for _, c := range raw {
		switch c {
		case ' ', '\t', '\r', '\n':
			continue
		case '{':
			return utf8.Valid(raw) && json.Valid(raw)
		}
		return false
	}
	return false
}
