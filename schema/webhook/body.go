package webhook

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"towpath/schema/fault"
	"towpath/schema/mapping"
	"towpath/schema/record"
)

// MaxBody bounds what is sent, in bytes. Standard Webhooks advises 20 kB.
const MaxBody = 4 << 20

// timeLayout has six decimals always: microseconds are what Odoo knows.
const timeLayout = "2006-01-02T15:04:05.000000Z"

// Body gives the bytes that the endpoint is sent: the same bytes for the same
// event, whoever makes them, however often. They are JSON without blanks.
func (c *Compiled) Body(e Event) ([]byte, error) {
	if err := e.Check(); err != nil {
		return nil, err
	}
	body, err := c.body(e)
	if err != nil {
		return nil, err
	}
	if len(body) > MaxBody {
		return nil, fault.New(fault.Invalid, "webhook.body_too_large", "the body for endpoint %s is %d bytes, the limit is %d", c.endpoint.Name, len(body), MaxBody).
			WithField("fields").WithResolution("choose the fields that the endpoint needs, or make the rule in Odoo thin; then replay what was parked")
	}
	return body, nil
}

func (c *Compiled) body(e Event) ([]byte, error) {
	if c.transform != nil {
		return c.transformed(e)
	}
	data, err := c.data(e)
	if err != nil {
		return nil, err
	}
	at := e.OccurredAt.UTC().Format(timeLayout)
	changed := c.fields.changed(e.Changed)
	var o object
	switch c.endpoint.Profile {
	case OdooS0:
		return data, nil
	case OdooS1:
		o.text("event", S1Event(e))
		o.text("model", e.Model)
		o.text("timestamp", at)
		o.raw("data", data)
		o.texts("changed_fields", changed)
	case OdooS3:
		o.text("event", e.Type)
		o.text("timestamp", at)
		o.raw("data", data)
	default:
		o.text("type", e.Type)
		o.text("timestamp", at)
		o.raw("data", data)
		o.texts("changed_fields", changed)
		if e.Test {
			o.raw("test", []byte("true"))
		}
	}
	return o.bytes(), nil
}

// data is the event's own JSON, narrowed, with the old values in it. A payload may
// hold some old values by itself; those that the rule asked for are all of them.
func (c *Compiled) data(e Event) ([]byte, error) {
	data, err := c.fields.withID().of(e.Data)
	if err != nil || len(e.Old) == 0 {
		return data, err
	}
	old, err := c.fields.of(e.Old)
	if err != nil || len(old) <= len("{}") {
		return data, err
	}
	return with(data, "old_values", old)
}

func (c *Compiled) transformed(e Event) ([]byte, error) {
	value, err := evaluate(c.transform, e)
	if err != nil {
		return nil, unfit(err, "transform", c.endpoint.Name)
	}
	built, isObject := value.(record.Values)
	if !isObject {
		return nil, fault.New(fault.Invalid, "webhook.transform_failed", "the transform of endpoint %s gives no object", c.endpoint.Name).
			WithField("transform").WithResolution(`let it build one: {"id": event.data.id}`)
	}
	var out bytes.Buffer
	if err := write(&out, built); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// evaluate runs an expression over an event: type, connection, model, record_id,
// action, occurred_at, sequence, data, old, changed, thin, test, id.
func evaluate(p *mapping.Program, e Event) (any, error) {
	values := record.Values{
		"id": e.ID, "type": e.Type, "connection": e.Connection, "model": e.Model, "record_id": e.RecordID,
		"action": string(e.Action), "occurred_at": e.OccurredAt, "sequence": decimal.NewFromInt(e.Sequence),
		"thin": e.Thin, "test": e.Test,
	}
	changed := make([]any, len(e.Changed))
	for i, name := range e.Changed {
		changed[i] = name
	}
	values["changed"] = changed
	for name, raw := range map[string]json.RawMessage{"data": e.Data, "old": e.Old} {
		if len(raw) == 0 {
			continue
		}
		value, err := valueOf(raw)
		if err != nil {
			return nil, fault.New(fault.Invalid, "webhook.event_invalid", "the event's %s cannot be read", name).
				WithField(name).WithResolution("the module in Odoo and Towpath do not fit: update both to the same release").WithCause(err)
		}
		values[name] = value
	}
	return p.Eval(values)
}

// valueOf reads JSON as expressions see it: numbers are exact decimals.
func valueOf(raw json.RawMessage) (any, error) {
	decoder := json.NewDecoder(bytes.NewReader(raw))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		return nil, err
	}
	return exact(value)
}

func exact(value any) (any, error) {
	switch v := value.(type) {
	case json.Number:
		return decimal.NewFromString(v.String())
	case []any:
		for i := range v {
			item, err := exact(v[i])
			if err != nil {
				return nil, err
			}
			v[i] = item
		}
	case map[string]any:
		for name := range v {
			field, err := exact(v[name])
			if err != nil {
				return nil, err
			}
			v[name] = field
		}
		return record.Values(v), nil
	}
	return value, nil
}

// write gives JSON with the names of objects in order. A number keeps the
// decimals that it came with: 10.50 stays 10.50.
func write(out *bytes.Buffer, value any) error {
	switch v := value.(type) {
	case decimal.Decimal:
		if e := v.Exponent(); e < -maxExponent || e > maxExponent {
			return fault.New(fault.Invalid, "webhook.number_absurd", "the event holds a number with more digits than any amount or quantity").
				WithField("data").WithResolution("correct it in Odoo, or leave the field out of the transform")
		}
		out.WriteString(v.StringFixed(max(0, -v.Exponent())))
	case record.Values:
		var o object
		for _, name := range slices.Sorted(maps.Keys(v)) {
			var inner bytes.Buffer
			if err := write(&inner, v[name]); err != nil {
				return err
			}
			o.raw(name, inner.Bytes())
		}
		out.Write(o.bytes())
	case []any:
		out.WriteByte('[')
		for i, item := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := write(out, item); err != nil {
				return err
			}
		}
		out.WriteByte(']')
	case time.Time:
		out.Write(quoted(v.UTC().Format(timeLayout)))
	case string:
		out.Write(quoted(v))
	case nil, bool:
		fmt.Fprintf(out, "%s", map[any]string{nil: "null", true: "true", false: "false"}[v])
	default:
		return fault.New(fault.Invalid, "webhook.transform_failed", "the transform gives a %T, which JSON does not hold", value).
			WithField("transform").WithResolution("let it give texts, numbers, true or false, lists and objects")
	}
	return nil
}

const maxExponent = 400 // of the largest and the smallest double, with some to spare
