// Package workflows holds the mind: it decides what happens next and never
// touches the world. Order is the story of one business object; Sync is that of
// one run of a job, and Conflict waits for people to decide what both sides
// changed; Maintenance keeps the house. Options are named profiles in
// options.go, names and ids live in contract.
package workflows
