package simulator

import (
	"crypto/rand"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"
)

// outboxModel is the model of the module towpath_outbox.
const outboxModel = "towpath.outbox"

// An outbox is the module towpath_outbox, as installed with a rule for each
// watched model that sends the full record, the changed fields and the old values.
type outbox struct {
	watched map[string]bool
	rows    []*outboxRow // open ones, oldest first
	last    int64
	bell    bell
	systems map[string][]string // to export to, with the models that each takes
	reports []Report
}

// An outboxRow is an event that waits for Towpath.
type outboxRow struct {
	content    map[string]any
	id         int64
	since      time.Time
	claimedBy  string
	leaseUntil time.Time
}

// A trace is something that a transaction did to a watched record.
type trace struct {
	at      place
	what    string // create, write, unlink
	field   string // write: with its old value
	old     any
	content map[string]any // unlink: what it was
}

// Watch installs the module towpath_outbox, if it is not, with a rule for each
// of the models: what happens to their records from now on is told.
func (s *Server) Watch(models ...string) {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.outbox == nil {
		s.db.outbox = &outbox{watched: map[string]bool{}}
		for name, label := range map[string]string{outboxModel: "Towpath Outbox", systemModel: "Towpath System"} {
			s.db.models[name] = &model{name: name, label: label, fields: map[string]*field{}, order: "id", recName: "event",
				rows: map[int64]*record{}, nextID: 1, indexes: map[string]*index{}, indexesOf: map[string][]*index{}, computed: map[string]func(*tx, *record) any{}}
		}
	}
	for _, m := range models {
		s.db.outbox.watched[m] = true
	}
}

// Waiting is how many events are in the outbox that were not acknowledged.
func (s *Server) Waiting() int {
	s.db.mu.Lock()
	defer s.db.mu.Unlock()
	if s.db.outbox == nil {
		return 0
	}
	return len(s.db.outbox.rows)
}

// note remembers what the transaction did, unless that is undone.
func (t *tx) note(r *record, what, field string, old any) {
	o := t.db.outbox
	if o == nil || !o.watched[r.model.name] || slices.Contains(keptByOdoo, field) {
		return
	}
	one := trace{at: place{r.model.name, r.id}, what: what, field: field, old: old}
	if what == "unlink" {
		one.content = t.payload(r)
	}
	n := len(t.traces)
	t.undo = append(t.undo, func() { t.traces = t.traces[:n] })
	t.traces = append(t.traces, one)
}

// tell puts an event for each watched record into the outbox, as the transaction
// is committed.
func (t *tx) tell() {
	byRecord := map[place][]trace{}
	var places []place
	for _, one := range t.traces {
		if byRecord[one.at] == nil {
			places = append(places, one.at)
		}
		byRecord[one.at] = append(byRecord[one.at], one)
	}
	for _, at := range places {
		t.tellRecord(at, byRecord[at])
	}
	if len(places) > 0 {
		t.db.outbox.bell.ring(t.db.uuid)
	}
}

func (t *tx) tellRecord(at place, traces []trace) {
	last := traces[len(traces)-1]
	created := traces[0].what == "create"
	switch r := t.model(at.model).rows[at.id]; {
	case last.what == "unlink" && !created:
		t.drop(at, "unlink", at.model+".deleted", last.content, nil)
	case r == nil: // made and deleted in one transaction
	case created:
		t.drop(at, "create", at.model+".created", t.payload(r), nil)
	default:
		old := map[string]any{}
		for _, one := range traces {
			f := r.model.fields[one.field]
			if f == nil {
				continue
			}
			if _, seen := old[one.field]; !seen {
				old[one.field] = iso(f, t.answer(f, one.old, false))
			}
		}
		maps.DeleteFunc(old, func(name string, before any) bool {
			f := r.model.fields[name]
			return reflect.DeepEqual(before, iso(f, t.answer(f, t.get(r, name), false)))
		})
		if len(old) == 0 {
			return
		}
		if _, stepped := old["state"]; stepped && at.model == "sale.order" {
			t.drop(at, "action", "sale.order.state.changed", t.payload(r), old)
		}
		t.drop(at, "write", at.model+".updated", t.payload(r), old)
	}
}

func (t *tx) drop(at place, action, event string, content, old map[string]any) {
	o := t.db.outbox
	o.last++
	row := map[string]any{
		"id": o.last, "event_id": uuid4(), "event": event, "action": action, "model": at.model, "res_id": at.id,
		"company_id": t.company().id, "user_id": t.user.ID, "occurred_at": t.now.Format("2006-01-02T15:04:05.000000Z"),
		"data": content, "old_values": false, "changed_fields": false, "thin": false,
	}
	if old != nil {
		row["old_values"], row["changed_fields"] = old, anyTexts(slices.Sorted(maps.Keys(old)))
	}
	o.rows = append(o.rows, &outboxRow{id: o.last, content: row, since: t.now})
}

func anyTexts(names []string) []any {
	list := make([]any, len(names))
	for i, name := range names {
		list[i] = name
	}
	return list
}

func uuid4() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b)
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// payloads are the fields of the named events; other models tell all that is
// stored.
var payloads = map[string][]string{
	"sale.order": {"name", "state", "partner_id", "amount_total", "amount_untaxed", "amount_tax", "date_order", "user_id"},
	"res.partner": {"name", "display_name", "is_company", "type", "parent_id", "ref", "vat", "email", "phone", "street", "street2", "zip",
		"city", "state_id", "country_id", "lang", "active", "company_id"},
}

// payload is what an event tells of a record.
func (t *tx) payload(r *record) map[string]any {
	names := payloads[r.model.name]
	if names == nil {
		for _, name := range slices.Sorted(maps.Keys(r.model.fields)) {
			if f := r.model.fields[name]; f.stored && f.kind != "one2many" && f.kind != "binary" && !strings.HasPrefix(name, "message_") && !strings.HasPrefix(name, "activity_") {
				names = append(names, name)
			}
		}
	}
	content := t.fieldsOf(r, names...)
	switch r.model.name {
	case "sale.order":
		content["partner_name"] = t.displayName("res.partner", t.integer(r, "partner_id"))
		content["old_values"] = map[string]any{}
		lines := []any{}
		for _, line := range t.relatedMany(r, "order_line") {
			one := t.fieldsOf(line, "product_id", "price_unit", "price_subtotal")
			delete(one, "id")
			one["product_name"] = t.displayName("product.product", t.integer(line, "product_id"))
			one["quantity"] = t.answer(line.model.fields["product_uom_qty"], t.get(line, "product_uom_qty"), false)
			lines = append(lines, one)
		}
		content["order_lines"] = lines
	case "res.partner":
		content["country_code"], content["state_code"] = false, false
		if to := t.related(r, "country_id"); to != nil {
			content["country_code"] = t.text(to, "code")
		}
		if to := t.related(r, "state_id"); to != nil {
			content["state_code"] = t.text(to, "code")
		}
	}
	return content
}

func (t *tx) fieldsOf(r *record, names ...string) map[string]any {
	content := map[string]any{"id": r.id}
	for _, name := range names {
		if f := r.model.fields[name]; f != nil {
			content[name] = iso(f, t.answer(f, t.get(r, name), false))
		}
	}
	return content
}

// iso writes times as the module does.
func iso(f *field, v any) any {
	text, ok := v.(string)
	switch {
	case !ok:
		return v
	case f.kind == "datetime":
		return strings.Replace(text, " ", "T", 1) + "Z"
	}
	return text
}

// ---- what Towpath calls

func init() {
	modelMethods[outboxModel] = map[string]method{
		"claim":   {[]string{"limit", "lease", "worker"}, 0, true, callClaim},
		"ack":     {nil, 0, false, func(c *call) any { return c.settle(true) }},
		"release": {[]string{"worker"}, 0, false, func(c *call) any { return c.settle(false) }},
		"pending": {nil, 0, true, callPending},
		"info": {nil, 0, true, func(c *call) any {
			c.bot()
			return map[string]any{"protocol": int64(1), "module": "simulated", "database_uuid": c.db.uuid}
		}},
	}
}

func (c *call) bot() *outbox {
	if !c.user.Bot && !c.user.Admin {
		raise(accessError("Only a user of the group Towpath bot may do this."))
	}
	return c.db.outbox
}

func (o *outboxRow) open(now time.Time) bool { return !o.leaseUntil.After(now) }

func callClaim(c *call) any {
	o := c.bot()
	limit, lease := c.number("limit", 100), c.number("lease", 60)
	worker := ""
	if name, ok := c.args["worker"].(string); ok {
		worker = name
	}
	rows := []any{}
	for _, row := range o.rows {
		if int64(len(rows)) == limit {
			break
		}
		if row.open(c.now) || worker != "" && row.claimedBy == worker {
			row.claimedBy, row.leaseUntil = worker, c.now.Add(time.Duration(lease)*time.Second)
			rows = append(rows, row.content)
		}
	}
	return rows
}

// settle acknowledges rows, or gives them back, and counts them.
func (c *call) settle(done bool) any {
	o := c.bot()
	if done {
		o.rows = slices.DeleteFunc(o.rows, func(row *outboxRow) bool { return slices.Contains(c.ids, row.id) })
		return int64(len(c.ids))
	}
	n := int64(0)
	for _, row := range o.rows {
		if slices.Contains(c.ids, row.id) && !row.open(c.now) {
			row.claimedBy, row.leaseUntil = "", time.Time{}
			n++
		}
	}
	return n
}

func callPending(c *call) any {
	o := c.bot()
	var pending, claimed, oldest int64
	for _, row := range o.rows {
		oldest = max(oldest, int64(c.now.Sub(row.since).Seconds()))
		if row.open(c.now) {
			pending++
		} else {
			claimed++
		}
	}
	return map[string]any{"pending": pending, "oldest_seconds": oldest, "claimed": claimed}
}
