package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/record"
	"towpath/schema/store"
	"towpath/workflows/contract"
)

// Pages grow while they are fast and shrink while they are slow: a page is what
// a kill repeats, and what a pause waits for.
const (
	minPageRecords = 20
	maxPageRecords = 500
	fastPage       = 1500 * time.Millisecond
	slowPage       = 5 * time.Second
)

// syncPage is one page of a lane.
type syncPage struct {
	*syncRun
	flow   *syncFlow
	lane   lanePlan
	number int
	after  string
	next   string
	items  []*syncItem
	bad    []record.BadRecord
	// vanished are parked records that the source does not have any more.
	vanished []string
	// noted are changes that are stored and not carried out.
	noted []store.Change
}

// prepare finds out what is to be written, and writes nothing.
func (p *syncPage) prepare(ctx context.Context) error {
	steps := []func(context.Context) error{p.recall, p.mapRecords, p.passUnchanged, p.refer, p.match, p.alone, p.lookThere, p.decide}
	switch p.run.Purpose {
	case contract.PurposeApprove:
		steps = append(steps, p.asPlanned)
	case contract.PurposeUndo:
		steps = []func(context.Context) error{p.takeBack}
	}
	for _, step := range append(steps, p.refuse) {
		if err := step(ctx); err != nil {
			return err
		}
	}
	return nil
}

// repeated is the reason to leave a record alone that comes again in its page.
const repeated = "repeated"

// add takes what was read into the page.
func (p *syncPage) add(page connectors.RecordPage) {
	p.next, p.bad = page.Next, page.Bad
	last := make(map[string]int, len(page.Records))
	for i, rec := range page.Records {
		last[rec.ID] = i
	}
	for i, rec := range page.Records {
		item := &syncItem{rec: rec, ext: rec.ID}
		if last[rec.ID] != i { // a source that repeats itself: the later one holds
			item.skip(repeated)
		}
		p.items = append(p.items, item)
	}
}

// recall looks up what the book knows of the page's records.
func (p *syncPage) recall(ctx context.Context) error {
	if p.flow.back {
		ids := make([]string, len(p.items))
		for i, item := range p.items {
			ids[i] = item.rec.ID
		}
		bound, err := p.Store.ExternalIDs(ctx, p.row, ids)
		if err != nil {
			return err
		}
		for _, item := range p.items {
			if item.ext = bound[item.rec.ID]; item.ext == "" {
				item.ext = newKey(item.rec.ID)
			}
		}
	}
	return p.recallAs(ctx, func(item *syncItem) string { return item.ext })
}

// recallAs looks records up under ids of the source that are not those of their items.
func (p *syncPage) recallAs(ctx context.Context, idOf func(*syncItem) string) error {
	ids := make([]string, len(p.items))
	for i, item := range p.items {
		ids[i] = idOf(item)
	}
	known, err := p.Store.Known(ctx, p.run.ID, p.writtenSide(), ids, p.linger())
	if err != nil {
		return err
	}
	for i, item := range p.items {
		item.known = known[ids[i]]
		if len(item.known.Snapshot) > 0 {
			if err := json.Unmarshal(item.known.Snapshot, &item.snapshot); err != nil {
				return err
			}
		}
		if len(item.known.Begun) > 0 {
			if err := json.Unmarshal(item.known.Begun, &item.begun); err != nil {
				return err
			}
		}
	}
	return nil
}

func (p *syncPage) writtenSide() string {
	if p.flow.back {
		return jobs.SourceSide
	}
	return jobs.TargetSide
}

// linger is how long a request whose sender died may still run.
func (p *syncPage) linger() time.Duration {
	if l, ok := p.flow.to.door.(connectors.Lingering); ok {
		return l.Lingers()
	}
	return p.Uncertainty
}

func (p *syncPage) mapRecords(context.Context) error {
	for _, item := range p.items {
		result := p.flow.mapping.Apply(item.rec)
		item.keys, item.read = result.Keys, result.Values
		if p.flow.back {
			item.seen = digestOf(plain(item.rec.Values, p.flow.from.fields, p.seenFields()))
		} else {
			item.seen = digestOf(result.Values)
		}
		if len(result.Faults) > 0 && !item.rec.Archived {
			item.park(together(result.Faults))
		}
	}
	return nil
}

// together makes one fault of several: the first, which names the others.
func together(faults []*fault.Fault) *fault.Fault {
	f := *faults[0]
	if len(faults) > 1 {
		var others []string
		for _, o := range faults[1:] {
			others = append(others, o.Field)
		}
		f.Message += fmt.Sprintf("; so it is with: %s", strings.Join(others, ", "))
	}
	return &f
}

// passUnchanged lets go of the records that are as they were last seen. They
// cost no call to the other side.
func (p *syncPage) passUnchanged(ctx context.Context) error {
	decided, err := p.decisions(ctx)
	if err != nil {
		return err
	}
	for _, item := range open(p.items) {
		k := item.known
		switch {
		case k.NoExport:
			item.skip("no_export")
			item.settled = item.standing // nobody has to decide about it any more
		case k.Gone:
			item.park(deletedInTarget(p.row, item.ext))
		case item.rec.Archived && k.TargetID == "" && !item.fromBack():
			item.skip("archived")
		case p.reconciling() || k.Parked || decided[item.ext]:
		case p.untouched(item):
			item.done = unchanged
		}
	}
	return nil
}

func (i *syncItem) fromBack() bool { return strings.HasPrefix(i.ext, newKey("")) }

// decisions names the records of the page that a person decided about.
func (p *syncPage) decisions(ctx context.Context) (map[string]bool, error) {
	decided := map[string]bool{}
	asks := p.asksPersons()
	if !asks && !p.conflicted {
		return decided, nil
	}
	var ids []string
	for _, item := range p.items {
		if item.known.Synced {
			ids = append(ids, item.ext)
		}
	}
	list, err := p.Store.ConflictsOf(ctx, p.job.Name, ids)
	for _, c := range list {
		for _, item := range p.items {
			if item.ext == c.ExternalID {
				item.standing = append(item.standing, c)
			}
		}
		// Of a job that asks nobody any more, its policy decides what still waits.
		decided[c.ExternalID] = decided[c.ExternalID] || c.Decision.Valid || !asks
	}
	return decided, err
}

// asksPersons says that the job leaves conflicts to people.
func (r *syncRun) asksPersons() bool {
	return r.job.Conflict == jobs.Manual || r.job.Conflict == jobs.NewestWins
}

func deletedInTarget(j store.Job, ext string) *fault.Fault {
	return fault.New(fault.Conflict, "sync.deleted_in_target", "the record was deleted in the target").WithField("id").
		WithResolution("if that was meant, leave it out (no_export); if not, let it be made again: towpath sync untie %s %s", j.Name, ext)
}

// lookThere reads the records of the page as they are on the other side: one
// call for all.
func (p *syncPage) lookThere(ctx context.Context) error {
	var ids []string
	for _, item := range open(p.items) {
		if id := item.there(p.flow); id != "" {
			ids = append(ids, id)
		}
	}
	if len(ids) == 0 || p.flow.to.target == nil {
		return nil
	}
	slices.Sort(ids)
	found, err := p.asFound(ctx, slices.Compact(ids))
	if err != nil {
		return err
	}
	var lost []*syncItem
	for _, item := range open(p.items) {
		id := item.there(p.flow)
		if id == "" {
			continue
		}
		if item.other = found[id]; item.other == nil || item.outlived() && !p.flow.back {
			lost = append(lost, item)
		}
	}
	return p.succeed(ctx, lost)
}

// there is the item's id on the side that the flow writes to; "" if it has none.
func (i *syncItem) there(f *syncFlow) string {
	switch {
	case !f.back:
		return i.known.TargetID
	case i.fromBack():
		return ""
	}
	return i.ext
}

// over is the base's values with what came since.
func over(base, more record.Values) record.Values {
	out := maps.Clone(base)
	if out == nil {
		out = record.Values{}
	}
	maps.Copy(out, more)
	return out
}
