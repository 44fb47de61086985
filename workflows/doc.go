// Package workflows holds the mind: it decides what happens next and never
// touches the world. Order is the story of one business object; Maintenance
// keeps the house. Options are named profiles in options.go, versions named
// predicates in versions.go, names and ids live in contract.
package workflows
