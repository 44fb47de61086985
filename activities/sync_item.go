package activities

import (
	"slices"
	"strings"

	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/schema/store"
)

// syncItem is one record on its way through a page.
type syncItem struct {
	rec record.Sourced // as read from the system that the flow comes from
	// ext is the record's id in the job's source. A record of the way back that
	// the source does not have yet goes by newKey until it is made.
	ext   string
	known store.Known

	read  record.Values // what rec becomes: mapped, references resolved
	keys  map[string]string
	seen  string          // digest of rec, as both sides' digests are kept
	other *record.Sourced // the same record on the other side; nil: not there

	was    string // its former counterpart, in whose place another stands now
	heirOf string // the record of the source in whose place it stands

	// Of bidirectional jobs, whichever side was read: the source's record in the
	// target's words and as it is, and the target's in the source's words.
	mappedLeft, leftNow, exported record.Values
	leftAfter                     *record.Sourced // the source's record after it was written
	unexported                    []*fault.Fault  // why fields are not in exported
	// What the next snapshot holds, unless something is written.
	nextSource, nextTarget record.Values
	// apart are fields that the sides do not agree on after this page: in
	// conflict, or the target's own of a one-way job.
	apart []string
	// kept are, of a reconcile, fields that differ as they should: the target's
	// value holds by the job's policy, or as its owner.
	kept []string

	done   outcome
	reason string // of skipped
	fault  *fault.Fault

	writes    []*syncWrite
	snapshot  snapshot
	begun     record.Values // fields that a dead worker of this run was changing
	conflicts []store.Conflict
	standing  []store.Conflict // of earlier runs
	stood     any              // what the field by which it is archived holds before it is
	settled   []store.Conflict
}

// outcome is what became of a record. Exactly one holds.
type outcome string

const (
	undecided outcome = ""
	unchanged outcome = "unchanged"
	skipped   outcome = "skipped"
	parked    outcome = "parked"
	toWrite   outcome = "write"
)

// syncWrite is one record to write, on one side.
type syncWrite struct {
	item   *syncItem
	side   *syncSide
	change store.Change
	id     string // as answered
	failed *fault.Fault
}

// snapshot is what both sides held when they were last in step. Mapped values
// and the target's differ where the target rounds or rewrites what it is given.
type snapshot struct {
	Source   record.Values `json:"s,omitempty"` // the source's, as the mapping made it
	Target   record.Values `json:"t,omitempty"` // the target's, as read back
	Exported record.Values `json:"e,omitempty"` // bidirectional: the target's, as the mapping back makes it
	Archived bool          `json:"a,omitempty"` // by us
	Stood    any           `json:"f,omitempty"` // what the field by which it is archived held before
	// Undone is the side on which something was put back since: the other one says
	// what it said. Was is then whether the source's record was set aside.
	Undone string `json:"u,omitempty"`
	Was    bool   `json:"w,omitempty"`
}

func newKey(id string) string { return "new:" + id }

func (i *syncItem) skip(reason string) { i.done, i.reason = skipped, reason }

func (i *syncItem) park(f *fault.Fault) {
	if i.done == undecided || i.done == toWrite {
		i.done, i.fault = parked, f
	}
}

// open are the items that nothing is decided about yet.
func open(items []*syncItem) []*syncItem {
	return slices.DeleteFunc(slices.Clone(items), func(i *syncItem) bool { return i.done != undecided })
}

// count puts the item's outcome into a page's counts.
func (i *syncItem) count(c *jobs.Counts) {
	switch i.done {
	case unchanged:
		c.Unchanged++
	case skipped:
		c.Skip(i.reason, 1)
	case parked:
		c.Parked++
	case toWrite:
		switch i.op() {
		case jobs.Create:
			c.Created++
		case jobs.Archive:
			c.Archived++
		default:
			c.Updated++
		}
	default:
		c.Failed++
	}
}

func (i *syncItem) op() jobs.Operation {
	for _, w := range i.writes {
		if op := jobs.Operation(w.change.Op); op != jobs.Update {
			return op
		}
	}
	return jobs.Update
}

// plain makes values comparable, whichever system they come from: references
// are ids, several of them in one order, and empty text is nothing.
func plain(values record.Values, infos []record.FieldInfo, fields []string) record.Values {
	out := make(record.Values, len(fields))
	for _, name := range fields {
		value := values[name]
		if text, ok := value.(string); ok && text == "" {
			value = nil
		}
		if info := fieldOf(infos, name); info != nil {
			switch info.Type {
			case record.TypeReference:
				value = refID(value)
			case record.TypeMany:
				value = refIDs(value)
			}
		}
		out[name] = value
	}
	return out
}

func fieldOf(infos []record.FieldInfo, name string) *record.FieldInfo {
	if i := slices.IndexFunc(infos, func(f record.FieldInfo) bool { return f.Name == name }); i >= 0 {
		return &infos[i]
	}
	return nil
}

func refID(value any) any {
	switch v := value.(type) {
	case record.Values:
		if id, ok := v["id"].(string); ok && id != "" {
			return id
		}
		return nil
	case string:
		return v
	}
	return nil
}

func refIDs(value any) any {
	list, _ := value.([]any)
	var ids []string
	for _, one := range list {
		if id, ok := refID(one).(string); ok {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	slices.Sort(ids)
	ids = slices.Compact(ids) // two names of one record are one, as the target holds it
	all := make([]any, len(ids))
	for i, id := range ids {
		all[i] = id
	}
	return all
}

// seenFields are the target's fields that tell whether it changed: those that
// are written there, and those that are read for the way back.
func (r *syncRun) seenFields() []string {
	fields := slices.Clone(r.flows[0].mapping.TargetFields())
	for _, f := range r.flows[1:] {
		for _, path := range f.mapping.SourceFields() {
			if !strings.Contains(path, ".") && !slices.Contains(fields, path) {
				fields = append(fields, path)
			}
		}
	}
	return slices.DeleteFunc(fields, func(name string) bool { return name == "id" })
}

// readFields are what is read of a side's records, by whichever flow.
func (r *syncRun) readFields(side *syncSide) []string {
	there := r.flows[0].mapping
	fields := slices.Clone(there.SourceFields())
	if side == r.sides[jobs.TargetSide] {
		fields = r.seenFields()
	}
	for _, back := range r.flows[1:] {
		if side == r.sides[jobs.TargetSide] {
			fields = append(fields, back.mapping.SourceFields()...)
		} else {
			fields = append(fields, back.mapping.TargetFields()...)
		}
	}
	if field, _, _ := side.archiveField(); field != "" {
		fields = append(fields, field)
	}
	slices.Sort(fields)
	return slices.DeleteFunc(slices.Compact(fields), func(name string) bool { return name == "id" })
}

func (r *syncRun) bidirectional() bool { return len(r.flows) > 1 }

// digestOf is how a side's record is remembered.
func digestOf(values record.Values) string { return mapping.Digest(values) }
