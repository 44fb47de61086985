// Package dispatch rings the bells: it claims objects that are due in
// PostgreSQL and signals (or starts) their workflows. Any number of processes
// may do it. It keeps nothing in memory that matters: a lost bell comes back
// by the object's visibility timeout (protocol P1.2).
package dispatch
