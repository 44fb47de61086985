package record

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Keys of the objects that JSON has no type of its own for. No system's fields
// begin with a dollar sign.
const (
	jsonTime = "$time"
	jsonDate = "$date"
)

// MarshalJSON writes values so that UnmarshalJSON gives the same back: numbers
// are JSON numbers of any length, times {"$time": …}, days {"$date": …}.
func (v Values) MarshalJSON() ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	plain := make(map[string]any, len(v))
	for name, value := range v {
		plain[name] = toJSON(value)
	}
	return json.Marshal(plain)
}

// UnmarshalJSON reads what MarshalJSON wrote, exactly.
func (v *Values) UnmarshalJSON(raw []byte) error {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var plain map[string]any
	if err := d.Decode(&plain); err != nil {
		return err
	}
	if plain == nil {
		*v = nil
		return nil
	}
	read, err := fromJSON(plain)
	if err != nil {
		return err
	}
	values, isRecord := read.(Values)
	if !isRecord {
		return fmt.Errorf("a single value is no record")
	}
	*v = values
	return nil
}

// ValueJSON writes one value as Values do.
func ValueJSON(value any) json.RawMessage {
	raw, err := json.Marshal(toJSON(value))
	if err != nil { // against the contract of Values
		return json.RawMessage(strconv.Quote("unreadable"))
	}
	return raw
}

// ParseValue reads what ValueJSON wrote.
func ParseValue(raw []byte) (any, error) {
	if len(raw) == 0 {
		return nil, nil
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var plain any
	if err := d.Decode(&plain); err != nil {
		return nil, err
	}
	return fromJSON(plain)
}

func toJSON(value any) any {
	switch v := value.(type) {
	case decimal.Decimal:
		return json.Number(v.String())
	case time.Time:
		return map[string]any{jsonTime: v.UTC().Format(time.RFC3339Nano)}
	case Date:
		return map[string]any{jsonDate: string(v)}
	case Values:
		if v == nil {
			return nil
		}
		return v
	case []any:
		all := make([]any, len(v))
		for i, one := range v {
			all[i] = toJSON(one)
		}
		return all
	}
	return value
}

func fromJSON(plain any) (any, error) {
	switch p := plain.(type) {
	case json.Number:
		return decimal.NewFromString(p.String())
	case []any:
		for i, one := range p {
			v, err := fromJSON(one)
			if err != nil {
				return nil, err
			}
			p[i] = v
		}
		return p, nil
	case map[string]any:
		if text, ok := p[jsonTime].(string); ok && len(p) == 1 {
			return time.Parse(time.RFC3339Nano, text)
		}
		if text, ok := p[jsonDate].(string); ok && len(p) == 1 {
			return Date(text), nil
		}
		values := make(Values, len(p))
		for name, one := range p {
			v, err := fromJSON(one)
			if err != nil {
				return nil, err
			}
			values[name] = v
		}
		return values, nil
	}
	return plain, nil
}

// Scan reads values from a database's JSON.
func (v *Values) Scan(from any) error {
	switch raw := from.(type) {
	case []byte:
		return v.UnmarshalJSON(raw)
	case string:
		return v.UnmarshalJSON([]byte(raw))
	case nil:
		*v = nil
		return nil
	}
	return fmt.Errorf("values are kept as JSON, not as %T", from)
}
