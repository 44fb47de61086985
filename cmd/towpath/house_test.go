package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The laws of the house (docs: the direction of imports is the one hard law).
// They bind what is built into the program; tests may look further.

// room is a package as `go list` describes it, with paths below the module.
type room struct {
	ImportPath, Doc, Dir   string
	Imports, Deps, GoFiles []string
}

const module = "towpath"

func rooms(t *testing.T) map[string]room {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Doc,Dir,Imports,Deps,GoFiles", "./...")
	cmd.Dir = root(t)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	require.NoError(t, err)
	all := map[string]room{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var r room
		err := dec.Decode(&r)
		if errors.Is(err, io.EOF) {
			require.NotEmpty(t, all)
			return all
		}
		require.NoError(t, err)
		if len(r.GoFiles) > 0 { // a folder of tests only is no room of the program
			all[r.ImportPath] = r
		}
	}
}

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../..")
	require.NoError(t, err)
	return dir
}

// own are the room's direct imports from this house, below the module's name.
func (r room) own() (paths []string) {
	for _, p := range r.Imports {
		if rest, ok := strings.CutPrefix(p, module+"/"); ok {
			paths = append(paths, rest)
		}
	}
	return paths
}

func (r room) path() string { return strings.TrimPrefix(r.ImportPath, module+"/") }

// below reports whether path is the folder or lies in it.
func below(path, folder string) bool {
	return path == folder || strings.HasPrefix(path, folder+"/")
}

func belowAny(path string, folders []string) bool {
	return slices.ContainsFunc(folders, func(f string) bool { return below(path, f) })
}

type law struct {
	folder string
	may    []string
	not    []string // exceptions from may
	why    string
}

// sees says what the packages of a folder may import. The first law whose
// folder holds the package counts, so the narrow ones stand first.
var sees = []law{
	{folder: "schema", may: []string{"schema"}, why: "schema is what everybody agrees on, and agrees with nobody"},
	{folder: "connectors/catalog", may: []string{"connectors", "schema"}, not: []string{"schema/store"}, why: "the list of all vendors"},
	{folder: "connectors/pool", may: []string{"connectors", "schema"}, why: "opens connections as they are stored"},
	{folder: "connectors", may: []string{"connectors", "schema"}, not: []string{"schema/store"}, why: "doors know nothing of the house behind them"},
	{folder: "workflows/contract", may: []string{"schema"}, not: []string{"schema/store"}, why: "a leaf: api and commands link no workflow code"},
	{folder: "workflows/dispatch", may: []string{"schema", "workflows/contract"}, why: "a leaf"},
	{folder: "activities", may: []string{"schema", "connectors", "workflows/contract"},
		not: []string{"connectors/catalog"}, why: "hands know other systems by capability only"},
	// By the law workflows stand above activities, but they call them by name:
	// whatever links the database could touch the world.
	{folder: "workflows", may: []string{"schema", "workflows/contract"}, not: []string{"schema/store"}, why: "the mind never touches the world"},
	{folder: "api", may: []string{"schema", "connectors", "workflows/contract", "workflows/dispatch"}, why: "a thin front"},
	{folder: "worker", may: []string{"schema", "connectors", "activities", "workflows"}, why: "wiring"},
	{folder: "odoo_addons/odootest", may: []string{"cmd/towpath/stack"}, why: "for tests only: servers have ports from one source"},
	{folder: "odoo_addons", why: "what Odoo runs, and a way for tests to start it"},
	{folder: "cmd", may: []string{"schema", "connectors", "activities", "workflows", "worker", "api", "cmd"}, why: "the binary"},
}

func TestImportsGoOneWay(t *testing.T) {
	for path, r := range rooms(t) {
		i := slices.IndexFunc(sees, func(l law) bool { return below(r.path(), l.folder) })
		if !assert.GreaterOrEqual(t, i, 0, "%s lies in no folder that design section 2 knows", path) {
			continue
		}
		l := sees[i]
		for _, p := range r.own() {
			assert.True(t, belowAny(p, l.may) && !belowAny(p, l.not), "%s imports %s, but %s: %s", r.path(), p, l.folder, l.why)
		}
	}
}

// A vendor is a folder below connectors that is no shared room.
var shared = []string{"httpx", "batch", "conformance", "catalog", "pool"}

// vendor is the folder of the vendor that a package belongs to, or empty.
func vendor(path string) string {
	rest, ok := strings.CutPrefix(path, "connectors/")
	if !ok {
		return ""
	}
	name, _, _ := strings.Cut(rest, "/")
	if slices.Contains(shared, name) {
		return ""
	}
	return "connectors/" + name
}

func TestVendorsDoNotKnowEachOther(t *testing.T) {
	found := 0
	for _, r := range rooms(t) {
		mine := vendor(r.path())
		if mine == "" {
			continue
		}
		found++
		for _, p := range r.own() {
			allowed := p == "connectors" || below(p, "connectors/httpx") || below(p, "connectors/batch") ||
				below(p, mine) || below(p, "schema") && !below(p, "schema/store") && !below(p, "schema/storetest")
			assert.True(t, allowed, "%s imports %s", r.path(), p)
		}
		for _, p := range r.Deps {
			assert.False(t, strings.HasPrefix(p, "go.temporal.io/"), "%s links Temporal (%s)", r.path(), p)
		}
	}
	assert.Positive(t, found)
}

func TestSharedDoorsKnowNoVendor(t *testing.T) {
	for _, r := range rooms(t) {
		if !below(r.path(), "connectors") || vendor(r.path()) != "" || r.path() == "connectors/catalog" {
			continue
		}
		for _, p := range r.own() {
			assert.Empty(t, vendor(p), "%s imports %s: only the catalog lists vendors", r.path(), p)
		}
	}
}

// A fault of the world in a pure room could not be tested by table; and what
// opens no file and no connection holds no surprise.
func TestPureRoomsDoNoIO(t *testing.T) {
	all := rooms(t)
	world := []string{"net", "os", "io/fs", "database/sql", "github.com/lib/pq", "github.com/jmoiron/sqlx", "go.temporal.io", "syscall"}
	harmless := []string{"net/url", "net/mail", "net/netip"}
	for _, path := range []string{"schema/record", "schema/orders", "schema/fault", "schema/mapping", "schema/jobs", "schema/webhook"} {
		r, ok := all[module+"/"+path]
		require.True(t, ok, path)
		for _, member := range append([]string{r.ImportPath}, r.Deps...) {
			for _, p := range all[member].Imports { // rooms of this house only: fmt, too, imports os
				header := p == "net/http" && path == "schema/webhook" // it makes an http.Header, which nobody sends there
				assert.False(t, belowAny(p, world) && !slices.Contains(harmless, p) && !header, "%s reaches the world: %s imports %s", path, member, p)
			}
		}
	}
}

func TestWorkflowsReachNothingThatActs(t *testing.T) {
	r, ok := rooms(t)[module+"/workflows"]
	require.True(t, ok)
	for _, p := range r.Deps {
		assert.False(t, p == "database/sql" || strings.HasPrefix(p, "github.com/lib/pq") || strings.HasPrefix(p, "github.com/jmoiron"),
			"workflows link %s", p)
	}
}

func TestAPIStaysThin(t *testing.T) {
	r, ok := rooms(t)[module+"/api"]
	require.True(t, ok)
	assert.NotContains(t, r.Deps, module+"/workflows")
	assert.NotContains(t, r.Deps, module+"/activities")
}

// The development Temporal server and the linters are modules of their own:
// linked in, they would make the binary 200 MB.
func TestTheBinaryLinksNoTools(t *testing.T) {
	r, ok := rooms(t)[module+"/cmd/towpath"]
	require.True(t, ok)
	for _, p := range r.Deps {
		for _, tool := range []string{"go.temporal.io/server", "github.com/golangci", "pgregory.net/rapid"} {
			assert.False(t, below(p, tool), "the binary links %s", p)
		}
	}
}

// The top level was fixed by the user; beside it design section 2 allows a few.
var topLevel = []string{
	"workflows", "activities", "worker", "api", "connectors", "schema", "docker-compose.yml", "Makefile", "go.mod", "README.md",
	"go.sum", "Dockerfile", "cmd", "odoo_addons", "tools", "deploy", "docs", "LICENSE",
}

func TestTopLevelIsFixed(t *testing.T) {
	// What git knows: a build's leavings are nobody's folder.
	cmd := exec.CommandContext(t.Context(), "git", "ls-files")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skip("not a git work tree: the top level cannot be told from leavings")
	}
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), "/")
		if strings.HasPrefix(name, ".") {
			continue
		}
		assert.Contains(t, topLevel, name)
	}
}

func TestEveryRoomSaysWhatItIsFor(t *testing.T) {
	for path, r := range rooms(t) {
		assert.NotEmpty(t, r.Doc, "%s has no package comment", path)
	}
}

// Long files are a habit to be kept in check, not a law: told, never refused.
func TestLongFilesAreTold(t *testing.T) {
	for _, r := range rooms(t) {
		for _, name := range r.GoFiles {
			n, generated := lines(t, filepath.Join(r.Dir, name))
			if n > 300 && !generated {
				t.Logf("%s/%s has %d lines", r.path(), name, n)
			}
		}
	}
}

func lines(t *testing.T, path string) (n int, generated bool) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 1<<20)
	for s.Scan() {
		n++
		generated = generated || n < 5 && strings.Contains(s.Text(), "Code generated")
	}
	require.NoError(t, s.Err())
	return n, generated
}
