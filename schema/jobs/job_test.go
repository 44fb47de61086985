package jobs

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

func products() Job {
	return Job{Name: "products", Source: "shop", Target: "erp", Kind: Product, Mapping: "product-basics"}
}

func TestDefaults(t *testing.T) {
	j := products()
	require.NoError(t, j.Validate())
	d := j.WithDefaults()
	assert.Equal(t, Import, d.Direction)
	assert.Equal(t, Incremental, d.Mode)
	assert.Equal(t, SourceWins, d.Conflict)
	assert.Equal(t, 50, d.BatchSize)
	assert.Equal(t, 5, d.Limits.MaxErrorPercent)
	assert.Equal(t, ByHand, d.Schedule.Type)
	assert.Empty(t, cmp.Diff(d, d.WithDefaults()), "defaults of defaults")
	assert.Nil(t, j.Switches, "the job given stays as it is")
}

func TestSwitches(t *testing.T) {
	j := products()
	for _, job := range []Job{j, j.WithDefaults()} {
		assert.True(t, job.May(Create, Product))
		assert.True(t, job.May(Update, Customer))
		assert.False(t, job.May(Archive, Product), "nothing is taken away unasked")
		assert.False(t, job.May("delete", Product))
	}
	j.Switches = map[Kind]Switch{Product: {Create: new(false), Archive: new(true)}}
	given := j.Switches[Product]
	d := j.WithDefaults()
	assert.False(t, d.May(Create, Product))
	assert.True(t, d.May(Update, Product))
	assert.True(t, d.May(Archive, Product))
	assert.Nil(t, given.Update)
	assert.Nil(t, j.Switches[Product].Update, "the job given stays as it is")
}

func TestFlows(t *testing.T) {
	j := products()
	for direction, want := range map[Direction][]Flow{
		Import:        {{"shop", "erp"}},
		Export:        {{"shop", "erp"}},
		Bidirectional: {{"shop", "erp"}, {"erp", "shop"}},
	} {
		j.Direction = direction
		assert.Equal(t, want, j.Flows(), direction)
	}
}

const wholeJob = `
name: prices-out
source: erp
target: shop
kind: price
direction: export
mode: full
mapping: prices
conflict: newest_wins
owner: {list_price: source}
batch_size: 200
schedule: {type: interval, every: 3, unit: months, at: "06:30", day: 31, time_zone: Europe/Paris, jitter: 90s}
filter: '[["sale_ok","=",true]]'
switches: {price: {create: false, update: true, archive: true}}
limits: {max_creates: 1, max_updates: 2, max_archives: 3, max_archive_percent: 4, max_error_percent: 6, max_errors: 7}
`

func TestAJobIsTheSameInYAMLAndJSON(t *testing.T) {
	var j Job
	require.NoError(t, yaml.NewDecoder(strings.NewReader(wholeJob), yaml.Strict()).Decode(&j))
	want := Job{
		Name: "prices-out", Source: "erp", Target: "shop", Kind: Price, Direction: Export, Mode: Full, Mapping: "prices",
		Conflict: NewestWins, Owner: map[string]string{"list_price": SourceSide}, BatchSize: 200,
		Schedule: Schedule{Type: Interval, Every: 3, Unit: Months, At: "06:30", Day: 31, TimeZone: "Europe/Paris", Jitter: new(Duration(90 * time.Second))},
		Filter:   `[["sale_ok","=",true]]`,
		Switches: map[Kind]Switch{Price: {Create: new(false), Update: new(true), Archive: new(true)}},
		Limits:   Limits{MaxCreates: 1, MaxUpdates: 2, MaxArchives: 3, MaxArchivePercent: 4, MaxErrorPercent: 6, MaxErrors: 7},
	}
	require.Empty(t, cmp.Diff(want, j))
	require.NoError(t, j.Validate())
	for name, roundTrip := range map[string]func(in Job, out *Job) error{
		"json": func(in Job, out *Job) error {
			raw, err := json.Marshal(in)
			return errors.Join(err, json.Unmarshal(raw, out))
		},
		"yaml": func(in Job, out *Job) error {
			raw, err := yaml.Marshal(in)
			return errors.Join(err, yaml.UnmarshalWithOptions(raw, out, yaml.Strict()))
		},
	} {
		for _, in := range []Job{j, products(), products().WithDefaults()} {
			var back Job
			require.NoError(t, roundTrip(in, &back), name)
			require.Empty(t, cmp.Diff(in, back), name)
		}
	}
	require.ErrorContains(t, yaml.Unmarshal([]byte("schedule: {jitter: soon}"), &j), "1h30m")
}

func TestWrongJobs(t *testing.T) {
	tests := map[string]struct {
		change func(*Job)
		field  string // "": the job is good
		says   string
	}{
		"as it is":                    {change: func(*Job) {}},
		"no name":                     {func(j *Job) { j.Name = "" }, "name", "small letters"},
		"name of an id's parts":       {func(j *Job) { j.Name = "a/b" }, "name", "small letters"},
		"no source":                   {func(j *Job) { j.Source = "" }, "source", "connection"},
		"no target":                   {func(j *Job) { j.Target = "" }, "target", "connection"},
		"target is the source":        {func(j *Job) { j.Target = j.Source }, "target", "another connection"},
		"no kind":                     {func(j *Job) { j.Kind = "" }, "kind", "is missing: use product, customer"},
		"unknown kind":                {func(j *Job) { j.Kind = "invoice" }, "kind", `"invoice": use product`},
		"unknown direction":           {func(j *Job) { j.Direction = "both" }, "direction", "bidirectional"},
		"unknown mode":                {func(j *Job) { j.Mode = "delta" }, "mode", "full, incremental, reconcile"},
		"no mapping":                  {func(j *Job) { j.Mapping = "" }, "mapping", "is missing"},
		"orders need no mapping":      {change: func(j *Job) { j.Kind, j.Mapping = Order, "" }},
		"orders out":                  {func(j *Job) { j.Kind, j.Direction = Order, Export }, "direction", "Export not implemented for model sale.order in connector any"},
		"orders filtered":             {func(j *Job) { j.Kind, j.Filter = Order, "status:open" }, "filter", "import_from"},
		"inventory needs a mapping":   {func(j *Job) { j.Kind, j.Mapping = Inventory, "" }, "mapping", "is missing"},
		"inventory both ways":         {func(j *Job) { j.Kind, j.Direction = Inventory, Bidirectional }, "direction", "use export"},
		"mapping that is no name":     {func(j *Job) { j.Mapping = "My map" }, "mapping", "dashes"},
		"unknown policy":              {func(j *Job) { j.Conflict = "odoo_wins" }, "conflict", "newest_wins"},
		"owner of neither side":       {func(j *Job) { j.Owner = map[string]string{"price": "erp"} }, "owner.price", "use source, target"},
		"owner of nothing":            {func(j *Job) { j.Owner = map[string]string{"": SourceSide} }, "owner", "empty field"},
		"batch of less than one":      {func(j *Job) { j.BatchSize = -1 }, "batch_size", "give 1 to 500"},
		"batch too large":             {func(j *Job) { j.BatchSize = 501 }, "batch_size", "give 1 to 500"},
		"binds to no name":            {func(j *Job) { j.Binds = "Product Template" }, "binds", "such as template"},
		"switch of an unknown kind":   {func(j *Job) { j.Switches = map[Kind]Switch{"tax": {}} }, "switches.tax", "use product"},
		"negative limit":              {func(j *Job) { j.Limits.MaxArchives = -1 }, "limits.max_archives", "no limit"},
		"percent above all":           {func(j *Job) { j.Limits.MaxArchivePercent = 101 }, "limits.max_archive_percent", "0 to 100"},
		"negative percent":            {func(j *Job) { j.Limits.MaxErrorPercent = -1 }, "limits.max_error_percent", "1 to 100"},
		"unknown type":                {func(j *Job) { j.Schedule.Type = "hourly" }, "schedule.type", "manual, interval, cron"},
		"interval without its type":   {func(j *Job) { j.Schedule.Every = 5 }, "schedule.type", "type: interval"},
		"cron without its type":       {func(j *Job) { j.Schedule.Cron = "* * * * *" }, "schedule.type", "type: cron"},
		"reconcile each minute":       {change: func(j *Job) { j.Mode, j.Schedule = Reconcile, Schedule{Type: Cron, Cron: "* * * * *"} }},
		"interval alone":              {change: func(j *Job) { j.Schedule = Schedule{Type: Interval} }},
		"unit alone":                  {change: func(j *Job) { j.Schedule = Schedule{Type: Interval, Unit: Months} }},
		"number without unit":         {func(j *Job) { j.Schedule = Schedule{Type: Interval, Every: 5} }, "schedule.unit", "minutes, hours"},
		"interval backwards":          {func(j *Job) { j.Schedule = Schedule{Type: Interval, Every: -5, Unit: Hours} }, "schedule.every", "give 1 to 744"},
		"13 months":                   {func(j *Job) { j.Schedule = Schedule{Type: Interval, Every: 13, Unit: Months} }, "schedule.every", "give 1 to 12"},
		"day 32":                      {func(j *Job) { j.Schedule = Schedule{Type: Interval, Unit: Months, Day: 32} }, "schedule.day", "give 1 to 31"},
		"day of a week":               {func(j *Job) { j.Schedule = Schedule{Type: Interval, Unit: Weeks, Day: 2} }, "schedule.day", "unit: months"},
		"no time of day":              {func(j *Job) { j.Schedule = Schedule{Type: Interval, Unit: Days, At: "24:00"} }, "schedule.at", "06:30"},
		"time of day of hours":        {func(j *Job) { j.Schedule = Schedule{Type: Interval, Unit: Hours, At: "06:30"} }, "schedule.at", "write a cron"},
		"zone of two days":            {func(j *Job) { j.Schedule = Schedule{Type: Interval, Every: 2, Unit: Days, TimeZone: "Europe/Paris"} }, "schedule.time_zone", "counted in UTC"},
		"UTC of two days":             {change: func(j *Job) { j.Schedule = Schedule{Type: Interval, Every: 2, Unit: Days, TimeZone: "UTC"} }},
		"unknown zone":                {func(j *Job) { j.Schedule.TimeZone = "Paris" }, "schedule.time_zone", "Europe/Paris"},
		"the machine's zone":          {func(j *Job) { j.Schedule.TimeZone = "Local" }, "schedule.time_zone", "Europe/Paris"},
		"negative jitter":             {func(j *Job) { j.Schedule.Jitter = new(Duration(-1)) }, "schedule.jitter", "0s"},
		"no cron":                     {func(j *Job) { j.Schedule.Type = Cron }, "schedule.cron", "it is empty"},
		"cron of six fields":          {func(j *Job) { j.Schedule = Schedule{Type: Cron, Cron: "0 0 * * * *"} }, "schedule.cron", "6 fields: write five"},
		"cron that never happens":     {func(j *Job) { j.Schedule = Schedule{Type: Cron, Cron: "0 0 30 2 *"} }, "schedule.cron", "never happens"},
		"cron with a zone in it":      {func(j *Job) { j.Schedule = Schedule{Type: Cron, Cron: "TZ=UTC 0 0 * * *"} }, "schedule.cron", "time_zone"},
		"cron and an unknown zone":    {func(j *Job) { j.Schedule = Schedule{Type: Cron, Cron: "0 0 * * *", TimeZone: "X"} }, "schedule.time_zone", "no such zone"},
		"cron of Temporal's own kind": {func(j *Job) { j.Schedule = Schedule{Type: Cron, Cron: "@every 5m"} }, "schedule.cron", "@every is not known here"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := products()
			tt.change(&j)
			err := j.Validate()
			if tt.field == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, tt.says)
			require.Equal(t, []string{tt.field}, fieldsOf(j.Faults()), "one mistake is told once")
			for _, f := range j.Faults() {
				assert.Equal(t, fault.Invalid, f.Kind)
				assert.NotEmpty(t, f.Resolution)
			}
		})
	}
}

func fieldsOf(faults []*fault.Fault) (fields []string) {
	for _, f := range faults {
		fields = append(fields, f.Field)
	}
	return fields
}

func TestAllMistakesAreToldAtOnce(t *testing.T) {
	j := products()
	j.Kind, j.BatchSize, j.Schedule.TimeZone = "tax", 1000, "Mars/Base"
	err := j.Validate()
	f := fault.Of(err)
	require.Equal(t, "jobs.invalid", f.Code)
	require.Equal(t, fault.Invalid, f.Kind)
	for _, want := range []string{"the job products", "batch_size cannot be 1000: give 1 to 500", `kind cannot be "tax": use`, "schedule.time_zone"} {
		require.ErrorContains(t, err, want)
	}
	require.Equal(t, []string{"batch_size", "kind", "schedule.time_zone"}, fieldsOf(j.Faults()))
}

func TestInventoryDoesNotFlowIntoOdoo(t *testing.T) {
	erp := System{Kind: "odoo", Reads: true, Writes: true, Updates: true, Home: true}
	shop := System{Kind: "shopify", Reads: true, Writes: true, Updates: true}
	j := products()
	j.Kind = Inventory
	require.Equal(t, []string{"kind"}, fieldsOf(j.FaultsBetween(shop, erp)))
	require.ErrorContains(t, j.ValidateBetween(shop, erp), "Import not implemented for model stock.quant in connector odoo")
	j.Direction = Export
	require.Empty(t, j.FaultsBetween(erp, shop))
}

func TestJobsFitTheirSystems(t *testing.T) {
	erp := System{Kind: "odoo", Reads: true, Writes: true, Updates: true, Home: true}
	shop := System{Kind: "shopify", Reads: true, Writes: true, Updates: true}
	csv := System{Kind: "csv", Reads: true, Writes: true}
	hook := System{Kind: "hook"}
	tests := map[string]struct {
		direction      Direction
		source, target System
		wrong          []string
		says           string
	}{
		"import":                     {Import, shop, erp, nil, ""},
		"default":                    {"", csv, erp, nil, ""},
		"export":                     {Export, erp, shop, nil, ""},
		"export to a file":           {Export, erp, csv, nil, ""},
		"both ways":                  {Bidirectional, shop, erp, nil, ""},
		"both ways, home first":      {Bidirectional, erp, shop, nil, ""},
		"both ways, from a file":     {Bidirectional, csv, erp, []string{"direction"}, "records of the source (csv)"},
		"both ways, to a file":       {Bidirectional, erp, csv, []string{"direction"}, "use import or export"},
		"import out of home":         {Import, erp, shop, []string{"direction"}, "direction: export"},
		"export into home":           {Export, shop, erp, []string{"direction"}, "direction: import"},
		"between shops":              {Export, shop, shop, nil, ""},
		"from what cannot be read":   {Import, hook, erp, []string{"source"}, "hook"},
		"to what cannot be written":  {Export, erp, hook, []string{"target"}, "hook"},
		"between two that cannot do": {Import, hook, hook, []string{"source", "target"}, "hook"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			j := products()
			j.Direction = tt.direction
			require.NoError(t, j.Validate(), "by itself the job is good")
			require.Equal(t, tt.wrong, fieldsOf(j.FaultsBetween(tt.source, tt.target)))
			if err := j.ValidateBetween(tt.source, tt.target); len(tt.wrong) > 0 {
				require.ErrorContains(t, err, tt.says)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// A deadline needs a decision, and a policy that leaves something to decide.
func TestConflictDeadlines(t *testing.T) {
	for name, tc := range map[string]struct {
		policy   Policy
		deadline time.Duration
		side     string
		fields   []string
	}{
		"none":               {policy: Manual},
		"both":               {policy: Manual, deadline: 72 * time.Hour, side: SourceSide},
		"newest may ask too": {policy: NewestWins, deadline: time.Minute, side: TargetSide},
		"no decision":        {policy: Manual, deadline: time.Hour, fields: []string{"conflict_default"}},
		"no such side":       {policy: Manual, deadline: time.Hour, side: "left", fields: []string{"conflict_default"}},
		"no deadline":        {policy: Manual, side: SourceSide, fields: []string{"conflict_deadline"}},
		"too short":          {policy: Manual, deadline: time.Second, side: SourceSide, fields: []string{"conflict_deadline"}},
		"nothing to decide":  {policy: SourceWins, deadline: time.Hour, side: SourceSide, fields: []string{"conflict_deadline"}},
	} {
		t.Run(name, func(t *testing.T) {
			j := products()
			j.Conflict, j.ConflictDeadline, j.ConflictDefault = tc.policy, Duration(tc.deadline), tc.side
			var fields []string
			for _, f := range j.Faults() {
				fields = append(fields, f.Field)
				assert.NotEmpty(t, f.Resolution)
			}
			assert.Equal(t, tc.fields, fields)
		})
	}
	var j Job
	require.NoError(t, yaml.Unmarshal([]byte("{name: products, conflict: manual, conflict_deadline: 72h, conflict_default: source}"), &j))
	assert.Equal(t, Duration(72*time.Hour), j.ConflictDeadline)
	raw, err := json.Marshal(products())
	require.NoError(t, err)
	assert.NotContains(t, string(raw), "deadline")

	assert.Equal(t, 24*time.Hour, j.RemindAfter())
	j.ConflictDeadline = Duration(6 * time.Hour)
	assert.Equal(t, 3*time.Hour, j.RemindAfter(), "half of a deadline that is shorter than two days")
	assert.Equal(t, 24*time.Hour, products().RemindAfter())
}
