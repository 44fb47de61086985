// Package record holds the canonical shapes that every connector translates
// to and from: orders, parties, addresses, money and events. It does no I/O
// and imports nothing of Towpath, so every room may speak it.
//
// Conventions: money is decimal (never a float), time is UTC, identifiers are
// strings as the owning system prints them. A zero value means "not given".
package record
