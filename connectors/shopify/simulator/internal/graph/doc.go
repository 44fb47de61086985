// Package graph executes GraphQL over objects made of maps. It knows nothing
// of any schema: a field is there or it is an error, so that a simulator never
// answers what it does not simulate. Judging requests and answers by a
// published schema is separate (Judge, Check), since a demo may run where no
// schema can be had.
package graph
