package csv

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
)

// run is an export under test: its pages are counted as a ledger would.
type run struct {
	c       *Connector
	id      string
	model   string
	columns []string
	pages   map[connectors.SinkAt]int
}

func newRun(c *Connector, id string) *run {
	return &run{c: c, id: id, model: "out.csv", columns: []string{"id", "name"}, pages: map[connectors.SinkAt]int{}}
}

func (r *run) page(t testing.TB, lane, page int, rows ...record.Values) []connectors.SinkRefusal {
	t.Helper()
	refused, err := r.c.SinkPage(t.Context(), connectors.SinkPage{Run: r.id, Model: r.model, Columns: r.columns, Lane: lane, Page: page, Rows: rows})
	require.NoError(t, err)
	r.pages[connectors.SinkAt{Lane: lane, Page: page}] = len(rows) - len(refused)
	return refused
}

func (r *run) whole() connectors.SinkRun {
	run := connectors.SinkRun{Run: r.id, Model: r.model, Columns: r.columns}
	for at, rows := range r.pages {
		run.Pages = append(run.Pages, at)
		run.Rows += int64(rows)
	}
	return run
}

func (r *run) done(t testing.TB) string {
	t.Helper()
	where, err := r.c.SinkDone(t.Context(), r.whole())
	require.NoError(t, err)
	require.Equal(t, filepath.Join(r.c.config.Folder, r.model), where)
	return r.content(t)
}

func (r *run) content(t testing.TB) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(r.c.config.Folder, r.model))
	if errors.Is(err, os.ErrNotExist) {
		return "nothing"
	}
	require.NoError(t, err)
	return string(raw)
}

func person(id, name string) record.Values { return record.Values{"id": id, "name": name} }

// left lists all hidden files.
func left(t testing.TB, c *Connector) (all []string) {
	t.Helper()
	require.NoError(t, filepath.WalkDir(c.config.Folder, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && (strings.Contains(path, hiddenFolder) || strings.HasPrefix(d.Name(), ".")) {
			all = append(all, d.Name())
		}
		return err
	}))
	return all
}

func TestPagesBecomeOneFile(t *testing.T) {
	r := newRun(connect(t, nil), "sync/stock/1?%")
	r.page(t, 1, 10, person("4", "d"))
	r.page(t, 1, 9, person("3", "c"))
	r.page(t, 0, 2)
	r.page(t, 0, 1, person("1", "never"), person("9", "seen"))
	r.page(t, 0, 1, person("1", "a"), person("2", "b")) // a worker died: the page is sent again
	require.Equal(t, "nothing", r.content(t))
	require.Equal(t, "id,name\n1,a\n2,b\n3,c\n4,d\n", r.done(t))
	require.Equal(t, []string{outcomeName}, left(t, r.c))

	require.NoError(t, os.WriteFile(filepath.Join(r.c.config.Folder, "out.csv"), []byte("a later run's"), 0o600))
	require.Equal(t, "a later run's", r.done(t), "ending it again changes nothing")
	_, err := r.c.SinkPage(t.Context(), connectors.SinkPage{Run: r.id, Model: r.model, Columns: r.columns})
	requireFault(t, err, fault.Conflict, "csv.export_over")
}

func TestARunOfNothingIsAFileOfNothing(t *testing.T) {
	r := newRun(connect(t, nil), "1")
	require.Equal(t, "id,name\n", r.done(t))
}

func TestWhatIsNotCompleteDoesNotAppear(t *testing.T) {
	other := connectors.SinkAt{Lane: 7, Page: 8}
	for name, tc := range map[string]struct {
		spoil func(t *testing.T, r *run)
		code  string
	}{
		"a page is missing":     {func(_ *testing.T, r *run) { r.pages[other] = 0 }, "csv.export_incomplete"},
		"a row too few":         {func(_ *testing.T, r *run) { r.pages[connectors.SinkAt{}]++ }, "csv.export_rows"},
		"a row too many":        {func(_ *testing.T, r *run) { r.pages[connectors.SinkAt{}]-- }, "csv.export_rows"},
		"other columns":         {func(_ *testing.T, r *run) { r.columns = []string{"name", "id"} }, "csv.export_settings"},
		"another encoding":      {func(_ *testing.T, r *run) { r.c.config.Encoding = "utf-16" }, "csv.export_settings"},
		"another run's pages":   {func(_ *testing.T, r *run) { r.id = "2" }, "csv.export_incomplete"},
		"another model's pages": {func(_ *testing.T, r *run) { r.model = "other.csv" }, "csv.export_incomplete"},
		"half a page":           {func(t *testing.T, r *run) { spoilPart(t, r, func(b []byte) []byte { return b[:len(b)-1] }) }, "csv.export_damaged"},
		"a flipped bit": {func(t *testing.T, r *run) {
			spoilPart(t, r, func(b []byte) []byte { b[len(b)-2] ^= 1; return b })
		}, "csv.export_damaged"},
		"an empty page file": {func(t *testing.T, r *run) { spoilPart(t, r, func([]byte) []byte { return nil }) }, "csv.export_damaged"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRun(connect(t, nil), "1")
			r.c.put(t, "out.csv", "before")
			r.page(t, 0, 0, person("1", "a"))
			r.page(t, 0, 1, person("2", "b"))
			tc.spoil(t, r)
			_, err := r.c.SinkDone(t.Context(), r.whole())
			requireFault(t, err, fault.Conflict, tc.code)
			r.model = "out.csv"
			require.Equal(t, "before", r.content(t))
			require.Equal(t, []string{"0-0.part", "0-1.part"}, left(t, r.c), "it can be put right and ended")
		})
	}
}

func spoilPart(t *testing.T, r *run, with func([]byte) []byte) {
	t.Helper()
	parts, err := filepath.Glob(filepath.Join(r.c.config.Folder, hiddenFolder, "*", "0-1.part"))
	require.NoError(t, err)
	require.Len(t, parts, 1)
	raw, err := os.ReadFile(parts[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(parts[0], with(raw), 0o600))
}

func TestPagesThatTheLedgerDoesNotKnowAreLeftOut(t *testing.T) {
	r := newRun(connect(t, nil), "1")
	r.page(t, 0, 0, person("1", "a"))
	r.page(t, 0, 1, person("2", "b"))
	delete(r.pages, connectors.SinkAt{Lane: 0, Page: 1})
	require.Equal(t, "id,name\n1,a\n", r.done(t))
	require.Equal(t, []string{outcomeName}, left(t, r.c))
}

func TestRowsThatAFileCannotHoldAreRefusedByThemselves(t *testing.T) {
	r := newRun(connect(t, settings{"encoding": "iso-8859-1"}), "1")
	refused := r.page(t, 0, 0, person("1", "Café"), person("2", "€"), person("3", "x\x00"), person("4", "d"))
	require.Len(t, refused, 2)
	for i, row := range []int{1, 2} {
		require.Equal(t, row, refused[i].Row)
		require.Equal(t, "name", requireFault(t, refused[i].Err, fault.Invalid, "csv.not_encodable"))
	}
	require.Equal(t, "id,name\n1,Caf\xe9\n4,d\n", r.done(t))
}

func TestDroppedRunsLeaveNothing(t *testing.T) {
	r := newRun(connect(t, nil), "1")
	r.c.put(t, "out.csv", "before")
	r.page(t, 0, 0, person("1", "a"))
	require.NoError(t, r.c.SinkDrop(t.Context(), r.whole()))
	require.Empty(t, left(t, r.c))
	require.NoError(t, r.c.SinkDrop(t.Context(), r.whole()))
	require.Equal(t, "before", r.content(t))
}

func TestWhatDeadRunsLeftIsRemovedAfterAWeek(t *testing.T) {
	c := connect(t, nil)
	old, young := newRun(c, "old"), newRun(c, "young")
	old.page(t, 0, 0, person("1", "a"))
	c.put(t, ".out.csv.AAAAAAAAAAAAAAAAAAAAAAAAAA.part", "left by a process that died")
	c.put(t, ".out.csv.mine.part", "somebody's own")
	c.put(t, ".two.csv.AAAAAAAAAAAAAAAAAAAAAAAAAA.part", "of another model")
	start := time.Now()
	c.now = func() time.Time { return start.Add(partsKept - time.Hour) }
	week := start.Add(partsKept - time.Hour)
	young.page(t, 0, 0, person("2", "b"))
	for _, dir := range []string{young.folder(t)} {
		require.NoError(t, os.Chtimes(dir, week, week))
	}
	third := newRun(c, "third")
	third.done(t)
	require.ElementsMatch(t, []string{"0-0.part", "0-0.part", outcomeName, ".out.csv.mine.part", ".two.csv.AAAAAAAAAAAAAAAAAAAAAAAAAA.part"}, left(t, c))

	c.now = func() time.Time { return start.Add(partsKept + time.Hour) }
	fourth := newRun(c, "fourth")
	fourth.model = "four.csv"
	fourth.done(t)
	require.ElementsMatch(t, []string{"0-0.part", outcomeName, ".out.csv.mine.part", ".two.csv.AAAAAAAAAAAAAAAAAAAAAAAAAA.part"}, left(t, c))
	require.Equal(t, "id,name\n2,b\n", young.done(t))
	_, err := c.SinkDone(t.Context(), old.whole())
	requireFault(t, err, fault.Conflict, "csv.export_incomplete")
}

func (r *run) folder(t testing.TB) string {
	t.Helper()
	x, err := r.c.runFolder(r.id, r.model, r.columns)
	require.NoError(t, err)
	defer shut(x.root)
	return filepath.Join(r.c.config.Folder, x.folder)
}

// Several workers write pages of two runs to one file, and some pages twice;
// then several end both. The file is one of the two, whole.
func TestTwoRunsAtOnceToOneFile(t *testing.T) {
	c := connect(t, nil)
	runs := []*run{newRun(c, "a"), newRun(c, "b")}
	want := []string{"id,name\n", "id,name\n"}
	var all sync.WaitGroup
	var faults sync.Map
	for i, r := range runs {
		for p := range 20 {
			row := person(fmt.Sprint(p), strings.Repeat(r.id, 1000))
			want[i] += fmt.Sprintf("%d,%s\n", p, row["name"])
			r.pages[connectors.SinkAt{Page: p}] = 1
			for range 3 {
				all.Go(func() {
					if _, err := c.SinkPage(t.Context(), connectors.SinkPage{Run: r.id, Model: r.model, Columns: r.columns, Page: p, Rows: []record.Values{row}}); err != nil {
						faults.Store(err, true)
					}
				})
			}
		}
	}
	all.Wait()
	for _, r := range runs {
		for range 4 {
			whole := r.whole()
			all.Go(func() {
				if _, err := c.SinkDone(context.Background(), whole); err != nil {
					faults.Store(err, true)
				}
			})
		}
	}
	all.Wait()
	faults.Range(func(err, _ any) bool { require.NoError(t, err.(error)); return true })
	require.Contains(t, want, runs[0].content(t))
	require.Equal(t, []string{outcomeName, outcomeName}, left(t, c))
}

// One who ends a run that somebody else has ended meanwhile does not put its
// file over a later run's.
func TestWhoComesLateChangesNothing(t *testing.T) {
	r, late := newRun(connect(t, nil), "1"), false
	r.page(t, 0, 0, person("1", "a"))
	r.c.at = func(step string) {
		if step != "joined" || late {
			return
		}
		late = true
		require.Equal(t, "id,name\n1,a\n", r.done(t))
		r.c.put(t, "out.csv", "a later run's")
	}
	require.Equal(t, "a later run's", r.done(t))
	require.Equal(t, []string{outcomeName}, left(t, r.c))
}

// TestWorkerThatDies is the process that the next test kills.
func TestWorkerThatDies(t *testing.T) {
	step, folder := os.Getenv("CSV_DIE_AT"), os.Getenv("CSV_DIE_IN")
	if step == "" {
		t.Skip("is run by TestAWorkerThatDiesIsRepeated")
	}
	r := newRun(connect(t, settings{"folder": folder}), "1")
	r.c.at = func(at string) {
		if at == step {
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		}
	}
	r.export(t)
}

func (r *run) export(t testing.TB) string {
	t.Helper()
	r.page(t, 0, 0, person("1", "a"))
	r.page(t, 0, 1, person("2", "b"))
	return r.done(t)
}

func TestAWorkerThatDiesIsRepeated(t *testing.T) {
	const before, after = "before", "id,name\n1,a\n2,b\n"
	for step, then := range map[string]string{"page written": before, "joined": before, "renamed": after, "noted": after} {
		t.Run(step, func(t *testing.T) {
			c := connect(t, nil)
			c.put(t, "out.csv", before)
			cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestWorkerThatDies$")
			cmd.Env = append(os.Environ(), "CSV_DIE_AT="+step, "CSV_DIE_IN="+c.config.Folder)
			out, err := cmd.CombinedOutput()
			require.ErrorContains(t, err, "killed", "%s", out)
			r := newRun(c, "1")
			require.Equal(t, then, r.content(t))

			if step == "page written" {
				require.Equal(t, after, r.export(t))
			} else {
				r.pages = map[connectors.SinkAt]int{{Page: 0}: 1, {Page: 1}: 1}
				require.Equal(t, after, r.done(t))
			}
			c.now = func() time.Time { return time.Now().Add(partsKept + time.Hour) }
			later := newRun(c, "2")
			later.done(t)
			require.Equal(t, []string{outcomeName}, left(t, c), "nothing is left for ever")
		})
	}
}

func TestSinksSayWhatForbidsWriting(t *testing.T) {
	c := connect(t, settings{"encoding": "iso-8859-1"})
	require.NoError(t, os.Mkdir(filepath.Join(c.config.Folder, "dir.csv"), 0o700))
	for name, tc := range map[string]struct {
		model   string
		columns []string
		kind    fault.Kind
		code    string
	}{
		"no columns":        {"a.csv", nil, fault.Invalid, "csv.no_columns"},
		"one name twice":    {"a.csv", []string{"id", "id"}, fault.Invalid, "csv.header_duplicate"},
		"a strange name":    {"a.csv", []string{"price €"}, fault.Invalid, "csv.not_encodable"},
		"no folder":         {"deep/a.csv", []string{"id"}, fault.NotFound, "csv.export_folder"},
		"a folder":          {"dir.csv", []string{"id"}, fault.Invalid, "csv.no_file"},
		"outside":           {"../a.csv", []string{"id"}, fault.Invalid, "csv.outside_folder"},
		"among the parts":   {hiddenFolder + "/a.csv", []string{"id"}, fault.Invalid, "csv.outside_folder"},
		"the parts' folder": {"./" + hiddenFolder, []string{"id"}, fault.Invalid, "csv.outside_folder"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.SinkFields(t.Context(), tc.model, tc.columns)
			requireFault(t, err, tc.kind, tc.code)
		})
	}
	_, err := c.SinkPage(t.Context(), connectors.SinkPage{Run: "1", Model: "../a.csv", Columns: []string{"id"}})
	requireFault(t, err, fault.Invalid, "csv.outside_folder")

	fields, err := c.SinkFields(t.Context(), "new.csv", []string{"b", "a.x"})
	require.NoError(t, err)
	require.Equal(t, []record.FieldInfo{
		{Name: "b", Label: "b", Type: record.TypeText}, {Name: "a.x", Label: "a.x", Type: record.TypeText},
	}, fields)
}

// Whatever is given in pages, in whatever order, is read back as it was, in the
// order of the pages.
func TestPagesSurviveTheFile(t *testing.T) {
	for i, with := range []settings{
		{}, {"encoding": "utf-8-bom", "separator": ";", "decimal": ","}, {"encoding": "utf-16", "separator": "tab"}, {"header": false, "columns": []string{"id", "name", "price", "at"}},
	} {
		maps.Copy(with, settings{"text_columns": []string{"name"}})
		c := connect(t, with)
		n := 0
		rapid.Check(t, func(rt *rapid.T) {
			n++
			r := newRun(c, fmt.Sprint(i, n))
			r.columns = []string{"id", "name", "price", "at"}
			text := rapid.StringOf(rapid.OneOf(rapid.Rune(), rapid.SampledFrom([]rune("\"',;|\t\r\n =\ufeff")))).
				Filter(func(s string) bool { return !strings.ContainsAny(s, "\x00\ufffd") })
			var rows []record.Values
			for i := range rapid.IntRange(0, 30).Draw(rt, "rows") {
				rows = append(rows, record.Values{
					"id": fmt.Sprintf("id-%d", i), "name": text.Draw(rt, "name"), "price": num(fmt.Sprintf("%d.5", i)),
					"at": time.Unix(rapid.Int64Range(0, 1<<32).Draw(rt, "at"), 0).UTC(),
				})
			}
			size := rapid.IntRange(1, 10).Draw(rt, "size")
			pages := slices.Collect(slices.Chunk(rows, size))
			for _, p := range rapid.Permutation(indexes(pages)).Draw(rt, "order") {
				r.page(t, p/3, p%3, pages[p]...)
			}
			r.done(t)
			all := readAll(t, c, connectors.RecordQuery{Model: "out.csv"}, 7)
			require.Empty(rt, all.Bad)
			require.Len(rt, all.Records, len(rows))
			for i, want := range rows {
				if want["name"] == "" {
					want["name"] = nil
				}
				require.Equal(rt, plain(want), plain(all.Records[i].Values))
			}
		})
	}
}

func indexes[T any](list []T) (all []int) {
	for i := range list {
		all = append(all, i)
	}
	return all
}

// The whole is joined as a stream, however much it is.
func TestLargeExportsNeedLittleMemory(t *testing.T) {
	rows, size := 1_000_000, 1000
	if testing.Short() {
		rows = 50_000
	}
	c := connect(t, nil)
	r := newRun(c, "1")
	var highest uint64
	look := func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		highest = max(highest, m.HeapAlloc)
	}
	look()
	first := highest
	page := make([]record.Values, size)
	for p := range rows / size {
		for i := range page {
			page[i] = person(fmt.Sprint(p*size+i), strings.Repeat("x", 100))
		}
		r.page(t, 0, p, page...)
		if p%100 == 0 {
			look()
		}
	}
	c.at = func(step string) {
		if step == "joined" {
			look()
		}
	}
	where, err := c.SinkDone(t.Context(), r.whole())
	require.NoError(t, err)
	require.Less(t, highest, first+8<<20, "bytes on the heap")
	info, err := os.Stat(where)
	require.NoError(t, err)
	require.Greater(t, info.Size(), int64(rows*105))
	n, err := c.CountRecords(t.Context(), connectors.RecordQuery{Model: "out.csv"})
	require.NoError(t, err)
	require.EqualValues(t, rows, n)
}

func TestOutcomesAreReadable(t *testing.T) {
	r := newRun(connect(t, nil), "1")
	r.export(t)
	raw, err := os.ReadFile(filepath.Join(r.folder(t), outcomeName))
	require.NoError(t, err)
	var done outcome
	require.NoError(t, json.Unmarshal(raw, &done))
	require.Equal(t, outcome{Where: filepath.Join(r.c.config.Folder, "out.csv"), Rows: 2}, done)
}
