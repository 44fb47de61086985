package connectors

import "context"

// ExportDesk is a system in which people choose records and a system that these
// are to be exported to. What they choose comes as an event, export.requested.
type ExportDesk interface {
	// TakesExports reports whether this connection is set up for it, without
	// asking the system.
	TakesExports() bool
	// OfferExports makes the list of systems that people choose from this one. It
	// may be told the same again.
	//
	// Faults: Unsupported where the system has no such list.
	OfferExports(ctx context.Context, systems []ExportSystem) error
	// ReportExports tells the people who chose records what became of these. It may
	// be told the same again: they are then told twice.
	//
	// Faults: Unsupported where the system cannot tell them.
	ReportExports(ctx context.Context, reports []ExportReport) error
}

// ExportSystem is a connection that records of an ExportDesk are exported to.
type ExportSystem struct {
	Connection string   `json:"connection"`
	Models     []string `json:"models"` // of the desk, sorted
}

// ExportReport is what became of records that somebody chose.
type ExportReport struct {
	Connection string // where they were to go
	Model      string // of the desk
	Asker      string // who chose them, by their id in the desk; empty: not known
	Exported   int64
	Created    int64 // of them, made there
	Skipped    int64
	Errors     int64
	Cause      string // why none was exported; empty where that is no matter of a person
}
