package jobs

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"towpath/schema/fault"
)

// System is what must be known about a connection to check a job against it.
type System struct {
	Kind   string // the connector's, for messages: "csv"
	Reads  bool   // records can be read in bulk
	Writes bool   // records can be written in bulk
	// Updates: a record can be found again and changed in its place. A file
	// that is written from its beginning to its end cannot do it.
	Updates bool
	// Home is true of Odoo: imports go there, exports come from there.
	Home bool
}

// Validate gives one error that names every wrong field with its fix, or nil.
func (j Job) Validate() error { return joined(j.Name, j.Faults()) }

// ValidateBetween is Validate and checks, too, that the two systems can do what
// the job asks of them.
func (j Job) ValidateBetween(source, target System) error {
	return joined(j.Name, j.FaultsBetween(source, target))
}

// Faults are all the mistakes of a job, each with its field and its fix, by
// field.
func (j Job) Faults() []*fault.Fault {
	var c check
	c.job(j.WithDefaults())
	return c.sorted()
}

// FaultsBetween are Faults and what the two systems cannot do.
func (j Job) FaultsBetween(source, target System) []*fault.Fault {
	j = j.WithDefaults()
	var c check
	c.job(j)
	c.systems(j, source, target)
	return c.sorted()
}

func joined(name string, faults []*fault.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	if !slug.MatchString(name) {
		name = "without a good name"
	}
	return fault.New(fault.Invalid, "jobs.invalid", "the job %s is not good", name).WithResolution("correct these fields; nothing was changed").WithAll(faults)
}

// check gathers what is wrong with a job.
type check struct{ faults []*fault.Fault }

func (c *check) sorted() []*fault.Fault {
	slices.SortStableFunc(c.faults, func(a, b *fault.Fault) int { return strings.Compare(a.Field, b.Field) })
	return c.faults
}

func (c *check) that(ok bool, field, problem, fix string) {
	if !ok {
		c.faults = append(c.faults, fault.New(fault.Invalid, "jobs.field_invalid", "%s %s", field, problem).
			WithField(field).WithResolution("%s", fix))
	}
}

func oneOf[T ~string](c *check, field string, value T, allowed ...T) {
	words := make([]string, len(allowed))
	for i, a := range allowed {
		words[i] = string(a)
	}
	problem := fmt.Sprintf("cannot be %q", value)
	if value == "" {
		problem = "is missing"
	}
	c.that(slices.Contains(allowed, value), field, problem, "use "+strings.Join(words, ", "))
}

func (c *check) within(field string, value, low, high int) {
	c.that(value >= low && value <= high, field, fmt.Sprintf("cannot be %d", value), fmt.Sprintf("give %d to %d", low, high))
}

// slug is the form of names that become part of ids.
var slug = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)

func (c *check) job(j Job) {
	c.that(slug.MatchString(j.Name), "name", "is not a name for a job",
		"use up to 40 small letters, digits and dashes; it becomes part of workflow ids and never changes")
	c.that(slug.MatchString(j.Source), "source", "is not the name of a connection", "give the name of the connection that records come from")
	c.that(slug.MatchString(j.Target), "target", "is not the name of a connection", "give the name of the connection that records go to")
	c.that(j.Source == "" || j.Source != j.Target, "target", "is the source", "give another connection than the source")
	oneOf(c, "kind", j.Kind, Product, Customer, Order, Inventory, Price)
	c.that(j.Binds == "" || slug.MatchString(string(j.Binds)), "binds", "is not the name of a kind",
		"use small letters, digits and dashes, such as template; or leave it out for the job's kind")
	c.that(j.Binds == "" || j.Kind != Order, "binds", "means nothing for orders", "remove it; orders are bound as orders")
	oneOf(c, "direction", j.Direction, Import, Export, Bidirectional)
	oneOf(c, "mode", j.Mode, Full, Incremental, Reconcile)
	oneOf(c, "conflict", j.Conflict, SourceWins, TargetWins, NewestWins, Manual)

	c.deadline(j)

	c.ways(j)
	c.that(j.Kind == Order || j.Mapping != "", "mapping", "is missing", "give the name of the mapping that says which field goes where")
	c.that(j.Mapping == "" || slug.MatchString(j.Mapping), "mapping", "is not the name of a mapping", "use small letters, digits and dashes")

	for _, field := range slices.Sorted(maps.Keys(j.Owner)) {
		c.that(field != "", "owner", "names an empty field", "give the name of a field of the mapping")
		oneOf(c, "owner."+field, j.Owner[field], SourceSide, TargetSide)
	}
	c.within("batch_size", j.BatchSize, 1, MaxBatchSize)
	for _, kind := range slices.Sorted(maps.Keys(j.Switches)) {
		c.that(kind == j.Kind || knownKind(kind), "switches."+string(kind), "is not a kind of record",
			"use product, customer, order, inventory or price")
	}
	c.that(j.FilterBack == "" || j.Direction == Bidirectional, "filter_back", "is of no use",
		"leave it out: only a bidirectional job has a way back")
	c.limits(j.Limits)
	c.schedule(j.Schedule)
}

// ways refuses what a kind of record does not do between any systems.
func (c *check) ways(j Job) {
	if j.Kind == Inventory {
		c.that(j.Direction != Bidirectional, "direction", `cannot be "bidirectional" for inventory`,
			"use export: Odoo says how much there is, and its stock is moved by its own documents")
	}
	if j.Kind != Order {
		return
	}
	c.that(j.Direction == Import, "direction", fmt.Sprintf("cannot be %q for orders: %s", j.Direction, NotImplemented(Export, "sale.order", "").Message),
		"use import, from a shop to Odoo")
	c.that(j.Filter == "", "filter", "means nothing for orders", "say which orders come in by the rules under orders: import, import_from")
}

// deadline checks what becomes of conflicts that nobody decides.
func (c *check) deadline(j Job) {
	if j.ConflictDeadline == 0 && j.ConflictDefault == "" {
		return
	}
	c.that(j.Conflict == Manual || j.Conflict == NewestWins, "conflict_deadline", fmt.Sprintf("means nothing where conflict is %s", j.Conflict),
		"remove it, or write conflict: manual")
	c.that(time.Duration(j.ConflictDeadline) >= MinConflictDeadline, "conflict_deadline", "is missing or too short",
		"give a time of a minute or more, such as 72h, or remove conflict_default")
	if j.ConflictDeadline != 0 {
		oneOf(c, "conflict_default", j.ConflictDefault, SourceSide, TargetSide)
	}
}

func knownKind(k Kind) bool {
	return slices.Contains([]Kind{Product, Customer, Order, Inventory, Price}, k)
}

func (c *check) limits(l Limits) {
	for _, n := range []struct {
		field string
		value int64
	}{
		{"max_creates", l.MaxCreates}, {"max_updates", l.MaxUpdates}, {"max_archives", l.MaxArchives}, {"max_errors", l.MaxErrors},
	} {
		c.that(n.value >= 0, "limits."+n.field, "is negative", "give a number of records, or leave it out for no limit")
	}
	c.within("limits.max_archive_percent", l.MaxArchivePercent, 0, 100)
	c.within("limits.max_error_percent", l.MaxErrorPercent, 1, 100)
}

func (c *check) systems(j Job, source, target System) {
	c.that(source.Reads, "source", fmt.Sprintf("cannot be read in bulk (%s)", source.Kind), "choose a connection whose records can be listed")
	c.that(target.Writes, "target", fmt.Sprintf("cannot be written in bulk (%s)", target.Kind), "choose a connection that records can be written to")
	if j.Direction == Bidirectional {
		for _, side := range []struct {
			field string
			System
		}{{"source", source}, {"target", target}} {
			c.that(side.Reads && side.Writes && side.Updates, "direction",
				fmt.Sprintf("cannot be bidirectional: the records of the %s (%s) cannot be read and changed in their place", side.field, side.Kind),
				"use import or export, with source and target in the order in which records flow")
		}
		return
	}
	c.that(j.Kind != Inventory || !target.Home, "kind", "cannot be inventory: "+NotImplemented(Import, "stock.quant", target.Kind).Message,
		"turn the job round; stock of Odoo is moved by its own documents: receipts, deliveries, inventory adjustments")
	if source.Home == target.Home {
		return
	}
	right := Import
	if source.Home {
		right = Export
	}
	c.that(j.Direction == right, "direction", fmt.Sprintf("cannot be %q: records flow from the source (%s) to the target (%s)", j.Direction, source.Kind, target.Kind),
		fmt.Sprintf("write direction: %s, or exchange source and target", right))
}
