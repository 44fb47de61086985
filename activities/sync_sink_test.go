package activities

import (
	"context"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/jobs"
	"towpath/schema/mapping"
	"towpath/schema/record"
	"towpath/workflows/contract"
)

// paper takes records from beginning to end, as a file does.
type paper struct {
	connectors.Connector
	pages  map[connectors.SinkAt][]record.Values
	refuse string // the SKU that it cannot hold
	whole  []string
}

func (p *paper) SinkFields(_ context.Context, _ string, columns []string) (all []record.FieldInfo, err error) {
	for _, name := range columns {
		all = append(all, record.FieldInfo{Name: name, Type: record.TypeText})
	}
	return all, nil
}

func (p *paper) SinkPage(_ context.Context, page connectors.SinkPage) (refused []connectors.SinkRefusal, err error) {
	at := connectors.SinkAt{Lane: page.Lane, Page: page.Page}
	p.pages[at] = nil
	for i, row := range page.Rows {
		if row["sku"] == p.refuse {
			refused = append(refused, connectors.SinkRefusal{Row: i, Err: fault.New(fault.Invalid, "paper.torn", "it is torn there")})
			continue
		}
		p.pages[at] = append(p.pages[at], row)
	}
	return refused, nil
}

func (p *paper) SinkDone(_ context.Context, run connectors.SinkRun) (string, error) {
	p.whole = nil
	for _, at := range run.Pages {
		page, kept := p.pages[at]
		if !kept {
			return "", fault.New(fault.Conflict, "paper.missing", "a page is missing")
		}
		for _, row := range page {
			p.whole = append(p.whole, row["sku"].(string))
		}
	}
	if int64(len(p.whole)) != run.Rows {
		return "", fault.New(fault.Conflict, "paper.count", "%d rows, the run says %d", len(p.whole), run.Rows)
	}
	slices.Sort(p.whole)
	p.pages = map[connectors.SinkAt][]record.Values{}
	return "paper", nil
}

func (p *paper) SinkDrop(context.Context, connectors.SinkRun) error { return nil }

// What a person named, and what is tried again, is read by its id and not in the
// window: a file that says so many records must hold them all the same.
func TestFilesHoldWhatWasReadByIDs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	left, right := newMemory().fill(120), newMemory()
	w.pair(left, right, func(j *jobs.Job, _ *mapping.Mapping) {
		j.Mode, j.Limits.MaxErrorPercent = jobs.Incremental, 100
	})
	file := &paper{Connector: right, pages: map[connectors.SinkAt][]record.Values{}}
	w.doors["right"] = file

	result := w.run(mode(jobs.Full))
	require.Equal(t, counts(120, "created", 120), result.Counts)
	assert.Len(t, file.whole, 120)

	result = w.run(func(in *contract.SyncOpen) { in.Only = []string{"7", "9"} })
	assert.Equal(t, counts(2, "created", 2), result.Counts)
	assert.Equal(t, []string{left.of("7")["sku"].(string), left.of("9")["sku"].(string)}, file.whole)
}
