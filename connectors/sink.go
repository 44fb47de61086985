package connectors

import (
	"context"

	"towpath/schema/record"
)

// RecordSink is a system whose records are written from beginning to end and
// not one by one: a file. A run gives it pages, in any order and from any
// process that sees the connection, and asks for the whole when all are there.
// Records in it cannot be found, changed or bound.
type RecordSink interface {
	// SinkFields gives the fields that a model with these columns would have,
	// whether it is there or not, and says what forbids writing it: check a
	// mapping against them, but apply it without them, so that numbers and times
	// arrive as such. A sink writes every type of record.Values in its own way.
	SinkFields(ctx context.Context, model string, columns []string) ([]record.FieldInfo, error)
	// SinkPage keeps one page, durably. Sent again it replaces itself, so that
	// a page of a worker that died counts once. Rows that the sink cannot hold
	// are refused one by one and are not in the page; err means that nothing of
	// it was kept.
	SinkPage(ctx context.Context, page SinkPage) (refused []SinkRefusal, err error)
	// SinkDone makes the whole appear at once, replacing what was there, and
	// gives where it is, for people. Pages that the run does not name are left
	// out. Done again it changes nothing and gives the same.
	//
	// Faults: of kind Conflict when a page is missing or damaged, was written
	// under other settings, or the rows are not as many as the run says; what was
	// there before stays.
	SinkDone(ctx context.Context, run SinkRun) (where string, err error)
	// SinkDrop removes what a run that is given up has left. What SinkDone made
	// stays.
	SinkDrop(ctx context.Context, run SinkRun) error
}

// SinkPage is one page of a run into a sink.
type SinkPage struct {
	Run     string
	Model   string
	Columns []string // in the order of the mapping; the same in every page of the run
	Lane    int
	Page    int
	Rows    []record.Values // by column
}

// SinkRefusal is a row that the sink cannot hold.
type SinkRefusal struct {
	Row int   // its place in SinkPage.Rows
	Err error // of kind Invalid; names the column
}

// SinkRun is a whole run into a sink, as its ledger has it.
type SinkRun struct {
	Run     string
	Model   string
	Columns []string
	Pages   []SinkAt // every page that counts, in any order; unused by SinkDrop
	Rows    int64    // that were kept over all pages, without the refused ones
}

// SinkAt is a page's place: pages are joined by lane, then by page.
type SinkAt struct{ Lane, Page int }
