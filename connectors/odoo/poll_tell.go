package odoo

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"towpath/connectors/odoo/rpc"
	"towpath/schema/webhook"
)

type pollEvent struct{ row webhook.OutboxRow }

// polledRecord is a record as it was read.
type polledRecord struct {
	id            int64
	made, written string // Odoo's form
	state         string // what business steps are told by; "-" where there are none
	content       map[string]json.RawMessage
}

// tell makes the events of records that were written. They are read now, and may
// have been written again, or be gone, since their ids were.
func (l *look) tell(ctx context.Context, rows []written, final bool) error {
	if len(rows) == 0 {
		return nil
	}
	ids := make([]int64, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	records, err := l.c.readPolled(ctx, l.model, ids)
	if err != nil {
		return err
	}
	before := map[int64]string{}
	if l.c.polled != nil {
		if before, err = l.c.polled.PolledStates(ctx, l.c.system, l.model, ids); err != nil {
			return err
		}
		there := map[int64]string{} // their states only once they are told
		for _, r := range records {
			there[r.id] = ""
		}
		// Before they are told: were this process to end in between, a deletion
		// would not be noticed.
		if err := l.c.polled.NotePolled(ctx, l.c.system, l.model, there); err != nil {
			return err
		}
	}
	l.limit -= len(records)
	for _, r := range records {
		if mark, mine := l.states[r.id]; mine {
			before[r.id] = mark
		}
		mark, noted := before[r.id]
		if err := l.tellRecord(r, mark, noted, final); err != nil {
			return err
		}
	}
	return nil
}

// tellRecord makes a record's events: that it was made, if it was since the last
// final look; the business steps that its state shows; that it was changed. mark
// is what was told of it last, empty if it was only noted: then somebody ended
// while telling it, and nobody knows what of.
func (l *look) tellRecord(r polledRecord, mark string, noted, final bool) error {
	before, toldDigest, _ := strings.Cut(mark, markDigest)
	content, err := json.Marshal(r.content)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(content)
	digest, number := hex.EncodeToString(sum[:]), strconv.FormatInt(r.id, 10)
	madeAt, err := odooTime(r.made)
	if err != nil {
		return err
	}
	writtenAt, err := odooTime(r.written)
	if err != nil {
		return err
	}
	add := func(name string, action webhook.Action, at time.Time, old json.RawMessage, idParts ...string) {
		data := content
		if len(old) > 0 {
			if _, shows := r.content["old_values"]; shows {
				r.content["old_values"] = old
				data = jsonOf(r.content)
				r.content["old_values"] = json.RawMessage("{}")
			}
		}
		l.events = append(l.events, pollEvent{webhook.OutboxRow{
			EventID: l.c.eventID(append([]string{l.model, number}, idParts...)...), Event: l.model + "." + name, Action: action,
			Model: l.model, RecordID: json.RawMessage(number), OccurredAt: at, Data: data, OldValues: old,
		}})
	}
	isNew := r.made >= l.since
	if isNew {
		add("created", webhook.Create, madeAt, nil, "created")
	}
	for _, s := range stepsOf(l.model, before, r.state, isNew) {
		add(s.name, webhook.Acted, writtenAt, s.old, s.name, r.written)
	}
	// A new record that was changed in the second in which it was made.
	seen, sighted := l.sighted(r.id)
	unsure := noted && mark == ""
	changed := unsure || toldDigest != "" && toldDigest != digest[:markLength] || sighted && final && seen.written == r.written && seen.digest != digest
	if !isNew || r.written > r.made || changed {
		add("updated", webhook.Write, writtenAt, nil, r.written, digest)
	}
	l.seen[r.id] = sighting{r.written, digest}
	l.states[r.id] = r.state + markDigest + digest[:markLength]
	return nil
}

// What is remembered of a record is its state and a part of its content's digest.
const (
	markDigest = "#"
	markLength = 16
)

func odooTime(text string) (time.Time, error) {
	at, err := time.ParseInLocation(rpc.DateTimeFormat, text, time.UTC)
	if err != nil {
		return at, unreadable("write_date", err)
	}
	return at, nil
}

// step is a business step that a state shows.
type step struct {
	name string
	old  json.RawMessage
}

// stepsOf compares states. A record of which no state was told before, and that is
// not new, has made its steps before anybody listened.
func stepsOf(model, before, after string, isNew bool) (steps []step) {
	if before == after || before == "" && !isNew {
		return nil
	}
	switch model {
	case "sale.order":
		if before != "" {
			old := jsonOf(map[string]string{"state": before})
			steps = append(steps, step{"state.changed", old})
		}
	case "account.move":
		if name := map[string]string{"posted": "validated", "cancel": "cancelled"}[after]; name != "" {
			steps = append(steps, step{name: name})
		}
	case "crm.lead":
		if strings.HasPrefix(before, "lead") && strings.HasPrefix(after, "opportunity") {
			steps = append(steps, step{name: "converted"})
		}
		if before != "" && !strings.HasSuffix(before, "won") && strings.HasSuffix(after, "won") {
			steps = append(steps, step{name: "won"})
		}
	}
	return steps
}

// jsonOf is the JSON of texts, numbers and JSON that was read before, which
// always have one.
func jsonOf(v any) json.RawMessage {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return raw
}
