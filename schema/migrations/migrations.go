// Package migrations holds the numbered SQL files of Towpath's PostgreSQL
// schema, embedded into the binary and applied with goose.
package migrations

import "embed"

// Files are the migrations in goose's format, named NNNN_what.sql.
//
//go:embed *.sql
var Files embed.FS
