package connectors

import (
	"context"
	"time"

	"towpath/schema/record"
)

// RecordQuery selects records of one model.
type RecordQuery struct {
	Model  string   // the system's own name: "product.product"; of a CSV connection: the file
	Fields []string // dot paths; empty: all that can be mapped
	// Since and Until bound when records were last changed, by the system's own
	// clock: since <= changed < until. Zero is unbounded.
	Since, Until time.Time
	// Filter is in the system's own language (Odoo: a domain as JSON).
	Filter string
	// Archived asks for archived records, too.
	Archived bool
	// From and To bound a reading by its cursor: records after From, up to and
	// including To. "" is unbounded. Both are cursors of the same model, as Next
	// and SplitRecords give them.
	From, To string
}

// RecordSource is a system whose records are read in bulk.
type RecordSource interface {
	// RecordFields describes a model's fields.
	RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error)
	// SourceNow is the system's own clock.
	SourceNow(ctx context.Context) (time.Time, error)
	// CountRecords says how many records a query selects at this moment.
	CountRecords(ctx context.Context, q RecordQuery) (int64, error)
	// ReadRecords gives up to limit records after a cursor ("" begins), by a key
	// that never changes, so that records which change meanwhile are neither
	// skipped nor repeated within one reading.
	ReadRecords(ctx context.Context, q RecordQuery, after string, limit int) (RecordPage, error)
}

// RecordSplitter is a RecordSource whose readings can be parted, so that several
// lanes read at once.
type RecordSplitter interface {
	// SplitRecords gives the inner bounds, at most lanes-1 of them and fewer where
	// there is less to part, of ranges that hold about as many records each. Range
	// i is From: bounds[i-1], To: bounds[i]; the first begins at q.From, the last
	// ends at q.To. Records that come later fall into one range as well.
	SplitRecords(ctx context.Context, q RecordQuery, lanes int) (bounds []string, err error)
}

// RecordIDs is a RecordSource that tells ids without their records, to prove
// that none is missing and to find those that were deleted.
type RecordIDs interface {
	// ReadIDs gives up to limit ids (at most MaxIDs) after a cursor ("" begins),
	// in the order of ReadRecords; next "" ends the reading.
	ReadIDs(ctx context.Context, q RecordQuery, after string, limit int) (ids []string, next string, err error)
}

// RecordSelector is a RecordTarget that can be asked which of some records a filter
// selects: those that somebody named, or that are tried again, may have left it.
type RecordSelector interface {
	// SelectRecords gives those of the ids that a query's filter selects, archived
	// records included; all of them where the model's filter cannot be asked so.
	SelectRecords(ctx context.Context, model, filter string, ids []string) ([]string, error)
}

// MaxIDs is the longest page of ids.
const MaxIDs = 10_000

// ModelClock is a RecordSource whose models have clocks of their own: a file
// tells of changes until it was written, however much later it is read. Where
// it is offered, watermarks go by it instead of SourceNow.
type ModelClock interface {
	ModelNow(ctx context.Context, model string) (time.Time, error)
}

// RecordPage is one page of a reading.
type RecordPage struct {
	Records []record.Sourced
	Bad     []record.BadRecord // lines that cannot be read; they count as fetched
	Next    string             // "" ends the reading
}

// RecordTarget is a system whose records are written in bulk. Its methods may
// be called by hundreds of goroutines at once: an implementation gathers them
// into few calls.
type RecordTarget interface {
	// RecordFields describes a model's fields.
	RecordFields(ctx context.Context, model string) ([]record.FieldInfo, error)
	// FindRecords gives the ids of the records whose field holds one of the
	// values, by value; archived ones included, unless an active one holds the
	// value, too.
	FindRecords(ctx context.Context, model, field string, values []string) (map[string][]string, error)
	// WriteRecord writes one record under its external id, or by id, and gives
	// its id. Same external id, same record, however often it is called.
	WriteRecord(ctx context.Context, row record.Row) (string, error)
	// RecordsByID reads records as they are; those that are gone are missing.
	RecordsByID(ctx context.Context, model string, ids, fields []string) ([]record.Sourced, error)
}

// RecordComparer is a RecordTarget that writes some fields only where they still
// hold what they held when they were read: stock that is sold meanwhile.
type RecordComparer interface {
	// CompareWith names the value of a Row that says what a field must still
	// hold; "" where the field is written whatever it holds.
	CompareWith(model, field string) (value string)
	// Stale tells the refusal of a row whose field holds something else by now.
	Stale(err error) bool
}

// RecordArchiver is a RecordTarget whose records can be set aside instead of
// deleted, and taken back.
type RecordArchiver interface {
	// ArchiveField gives the field that says so with the values that archive a
	// record and take it back; "" where the model has none.
	ArchiveField(model string) (field string, archived, active any)
}

// RecordSuccession is a RecordTarget whose system makes some records anew by
// itself: what stood for a thing is deleted or archived, and another record, with
// another id, stands for it from then on. Odoo does so with variants, when the
// attributes of their template change.
type RecordSuccession interface {
	// Successors gives, for records of a model by what they are to hold (the names
	// are the target's), the ids of the active records that stand for the same: one
	// list for each of wanted, nil where the model, or what is wanted, has no such
	// thing.
	Successors(ctx context.Context, model string, wanted []record.Values) ([][]string, error)
}

// RecordRefuser is a RecordTarget that tells before anything is written what must
// not be, since it would change other records silently: Odoo's variants share the
// price of their template.
type RecordRefuser interface {
	// RefuseFields says why records of a model must not be written with these
	// fields together; nil: they may. It asks nobody, and may be called on a nil
	// connector.
	RefuseFields(model string, fields []string) error
	// RefuseRows says of rows that are about to be written which must not be, in
	// one call for all: a fault for each of those, nil for the others.
	RefuseRows(ctx context.Context, rows []record.Row) ([]error, error)
}
