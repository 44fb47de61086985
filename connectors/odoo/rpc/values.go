package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Odoo writes false where others write null, whatever the field's type.
func isNothing(raw []byte) bool {
	raw = bytes.TrimSpace(raw)
	return len(raw) == 0 || string(raw) == "false" || string(raw) == "null"
}

// Many2One is a reference to another record. It decodes [id, name] as read
// gives it, a bare id, the {"id", "display_name"} of web_read, and false. It
// encodes as the id or false.
type Many2One struct {
	ID   int64 // 0: refers to nothing
	Name string
}

// UnmarshalJSON decodes all forms.
func (m *Many2One) UnmarshalJSON(raw []byte) error {
	*m = Many2One{}
	if isNothing(raw) {
		return nil
	}
	switch raw = bytes.TrimSpace(raw); raw[0] {
	case '[':
		var pair []json.RawMessage
		if err := json.Unmarshal(raw, &pair); err != nil {
			return err
		}
		if len(pair) == 0 {
			return nil
		}
		if err := json.Unmarshal(pair[0], &m.ID); err != nil {
			return fmt.Errorf("many2one id: %w", err)
		}
		if len(pair) > 1 {
			return (*Text)(&m.Name).UnmarshalJSON(pair[1])
		}
		return nil
	case '{':
		var named struct {
			ID   int64 `json:"id"`
			Name Text  `json:"display_name"`
		}
		if err := json.Unmarshal(raw, &named); err != nil {
			return err
		}
		*m = Many2One{ID: named.ID, Name: string(named.Name)}
		return nil
	}
	return json.Unmarshal(raw, &m.ID)
}

// MarshalJSON gives what create and write take.
func (m Many2One) MarshalJSON() ([]byte, error) {
	if m.ID == 0 {
		return []byte("false"), nil
	}
	return json.Marshal(m.ID)
}

// Text is a char, text, selection, html or binary field.
type Text string

// UnmarshalJSON decodes false as "", and a number as its text: some selection
// and reference fields hold numbers.
func (t *Text) UnmarshalJSON(raw []byte) error {
	if isNothing(raw) {
		*t = ""
		return nil
	}
	if c := bytes.TrimSpace(raw)[0]; c == '-' || (c >= '0' && c <= '9') {
		*t = Text(bytes.TrimSpace(raw))
		return nil
	}
	return json.Unmarshal(raw, (*string)(t))
}

// Decimal is a float or monetary field, taken from the digits that Odoo wrote.
// Odoo computes in binary floats: 0.1 + 0.2 arrives as 0.30000000000000004, so
// round to the currency's digits before comparing.
type Decimal struct{ decimal.Decimal }

// UnmarshalJSON decodes a number, or false as zero.
func (d *Decimal) UnmarshalJSON(raw []byte) error {
	if isNothing(raw) {
		d.Decimal = decimal.Zero
		return nil
	}
	return d.Decimal.UnmarshalJSON(bytes.TrimSpace(raw))
}

// MarshalJSON writes a JSON number with all its digits.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// The forms of datetimes and dates over RPC; datetimes are UTC.
const (
	DateTimeFormat = "2006-01-02 15:04:05"
	DateFormat     = "2006-01-02"
)

// Time is a date or datetime field, in UTC. Odoo cuts datetimes to seconds.
type Time struct{ time.Time }

// UnmarshalJSON decodes both forms, and false as the zero time.
func (t *Time) UnmarshalJSON(raw []byte) error {
	t.Time = time.Time{}
	var text Text
	if err := text.UnmarshalJSON(raw); err != nil || text == "" {
		return err
	}
	format := DateTimeFormat
	if !strings.Contains(string(text), " ") {
		format = DateFormat
	}
	parsed, err := time.ParseInLocation(format, string(text), time.UTC)
	t.Time = parsed
	return err
}

// MarshalJSON writes a datetime, or false for the zero time.
func (t Time) MarshalJSON() ([]byte, error) {
	if t.IsZero() {
		return []byte("false"), nil
	}
	return json.Marshal(t.UTC().Format(DateTimeFormat))
}

// decode reads an answer into out. Nothing (None) leaves out alone.
func decode(raw answer, out any) error {
	if out == nil || len(raw) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	if err := d.Decode(out); err != nil {
		return unreadable(err)
	}
	return nil
}
