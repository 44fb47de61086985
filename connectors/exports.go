package connectors

import (
	"context"
	"time"
)

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
}

// ExportSystem is a connection that records of an ExportDesk are exported to.
type ExportSystem struct {
	Connection string     `json:"connection"`
	Models     []string   `json:"models"`         // of the desk, sorted
	Last       *time.Time `json:"last,omitempty"` // when chosen records were exported to it last; nil: never
}
