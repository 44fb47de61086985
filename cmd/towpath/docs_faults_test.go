package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The list of faults is read off the source: every fault.New, every function
// that passes its own arguments on to one, and every row of a table of rules
// (kind, code, message, resolution).

type faultRow struct{ code, kind, message, resolution, file string }

func faultsSection(t *testing.T) string {
	var rows [][]string
	for _, f := range faultsOfSource(t) {
		rows = append(rows, []string{code(f.code), f.kind, f.message, f.resolution, code(f.file)})
	}
	return table([]string{"code", "kind", "it says", "what to do", "where"}, rows)
}

func TestDocsFaultsAreFound(t *testing.T) {
	found := map[string]faultRow{}
	for _, f := range faultsOfSource(t) {
		found[f.code] = f
	}
	// One of each way to make a fault.
	for _, code := range []string{
		"apply.no_file",              // fault.New
		"orders.product_unmapped",    // a function that completes the code
		"shopify.shop_frozen",        // a function literal
		"odoo.period_closed",         // a row of a table
		"SYSTEM.no_answer",           // a room known at run time
		"shopify.version_not_served", // inside another call
	} {
		assert.NotEmpty(t, found[code].message, code)
		assert.NotEmpty(t, found[code].resolution, code)
	}
	for code := range found {
		assert.Regexp(t, `^[A-Za-z]+\.[a-z_0-9]+$|^unknown$|^timeout$`, code)
	}
}

// faultsOfSource gives the faults that the program can make, by code.
func faultsOfSource(t *testing.T) []faultRow {
	t.Helper()
	folders := map[string][]string{}
	for _, file := range sources(t) {
		skip := !strings.HasSuffix(file, ".go") || strings.HasSuffix(file, "_test.go") || strings.HasPrefix(file, "tools/") ||
			strings.Contains(file, "/simulator/") || strings.Contains(file, "storetest") || strings.HasPrefix(file, "cmd/towpath/stack/") || strings.HasPrefix(file, "cmd/towpath/bench")
		if !skip {
			folders[path.Dir(file)] = append(folders[path.Dir(file)], file)
		}
	}
	// fault.Of makes these two of errors that nobody foresaw.
	all := map[faultRow]bool{
		{"unknown", "transient", "an unexpected error; it is tried again", "", "schema/fault/fault.go"}: true,
		{"timeout", "transient", "no answer in time; it is tried again", "", "schema/fault/fault.go"}:   true,
	}
	for _, folder := range slices.Sorted(maps.Keys(folders)) {
		for _, f := range scan(t, folders[folder]) {
			all[f] = true
		}
	}
	rows := slices.Collect(maps.Keys(all))
	slices.SortFunc(rows, func(a, b faultRow) int { // by everything: the docs must not flicker
		return slices.Compare([]string{a.code, a.message, a.resolution, a.kind, a.file}, []string{b.code, b.message, b.resolution, b.kind, b.file})
	})
	return rows
}

// maker is a function that passes its parameters on to fault.New.
type maker struct {
	params []string
	row    [4]ast.Expr // kind, code, message, resolution
	within ast.Node    // where its name means it; nil: in the whole package
}

type scanner struct {
	consts  map[string]ast.Expr
	makers  map[string][]maker
	rows    []faultRow
	file    string
	claimed map[ast.Node]bool // calls that were read as part of a chain
}

func scan(t *testing.T, files []string) []faultRow {
	t.Helper()
	s := &scanner{consts: map[string]ast.Expr{}, makers: map[string][]maker{}, claimed: map[ast.Node]bool{}}
	parsed := map[string]*ast.File{}
	for _, name := range files {
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(repository, name), nil, 0)
		require.NoError(t, err)
		parsed[name] = f
		ast.Inspect(f, s.learn)
	}
	for _, name := range files {
		s.file = name
		ast.Inspect(parsed[name], s.read)
	}
	return s.rows
}

// learn notes constants and makers.
func (s *scanner) learn(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.ValueSpec:
		for i, name := range n.Names {
			if i < len(n.Values) {
				s.consts[name.Name] = n.Values[i]
			}
		}
	case *ast.FuncDecl:
		s.learnMaker(n.Name.Name, n.Type, n.Body, nil)
		if n.Body != nil {
			for _, stmt := range n.Body.List {
				if a, ok := stmt.(*ast.AssignStmt); ok && len(a.Lhs) == 1 {
					name, isName := a.Lhs[0].(*ast.Ident)
					if lit, isFunc := a.Rhs[0].(*ast.FuncLit); isName && isFunc {
						s.learnMaker(name.Name, lit.Type, lit.Body, n)
					}
				}
			}
		}
	}
	return true
}

func (s *scanner) learnMaker(name string, typ *ast.FuncType, body *ast.BlockStmt, within ast.Node) {
	if body == nil {
		return
	}
	var params []string
	for _, field := range typ.Params.List {
		for _, p := range field.Names {
			params = append(params, p.Name)
		}
	}
	ast.Inspect(body, func(n ast.Node) bool {
		chain, ok := faultChain(n)
		if ok && mentions(chain[1], params) {
			s.makers[name] = append(s.makers[name], maker{params: params, row: chain, within: within})
			return false
		}
		return true
	})
}

// faultChain reads fault.New(kind, code, format, …).With…(…).
func faultChain(n ast.Node) (row [4]ast.Expr, ok bool) {
	call, isCall := n.(*ast.CallExpr)
	for isCall {
		sel, isSel := call.Fun.(*ast.SelectorExpr)
		if !isSel {
			return row, false
		}
		if x, isPkg := sel.X.(*ast.Ident); isPkg && x.Name == "fault" && sel.Sel.Name == "New" && len(call.Args) >= 3 {
			row[0], row[1], row[2] = call.Args[0], call.Args[1], message(call.Args[2:])
			return row, true
		}
		if sel.Sel.Name == "WithResolution" && row[3] == nil {
			row[3] = message(call.Args)
		}
		call, isCall = sel.X.(*ast.CallExpr)
	}
	return row, false
}

// message is a format, or what "%s" stands for.
func message(args []ast.Expr) ast.Expr {
	if lit, ok := args[0].(*ast.BasicLit); ok && len(args) > 1 && (lit.Value == `"%s"` || lit.Value == `"%s (HTTP %d)"`) {
		return args[1]
	}
	return args[0]
}

func mentions(e ast.Expr, names []string) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		id, ok := n.(*ast.Ident)
		found = found || ok && slices.Contains(names, id.Name)
		return !found
	})
	return found
}

// read notes what a node makes: a fault, a maker's call, a table's row.
func (s *scanner) read(n ast.Node) bool {
	switch n := n.(type) {
	case *ast.CallExpr:
		if s.claimed[n] {
			return true
		}
		if row, ok := faultChain(n); ok {
			s.claim(n)
			s.note(row, nil)
		} else if name, resolution, call := s.makerCall(n); call != nil {
			s.claim(n)
			for _, m := range s.makers[name] {
				s.noteMade(m, call, resolution)
			}
		}
	case *ast.CompositeLit:
		var row [4]ast.Expr
		for _, e := range n.Elts {
			if kv, ok := e.(*ast.KeyValueExpr); ok {
				if key, ok := kv.Key.(*ast.Ident); ok {
					if i := slices.Index([]string{"kind", "code", "message", "resolution"}, key.Name); i >= 0 {
						row[i] = kv.Value
					}
				}
			}
		}
		if row[0] != nil && row[1] != nil {
			s.note(row, nil)
		}
	}
	return true
}

// claim keeps the inner calls of a chain from being read once more.
func (s *scanner) claim(call *ast.CallExpr) {
	for {
		s.claimed[call] = true
		sel, ok := call.Fun.(*ast.SelectorExpr)
		if !ok {
			return
		}
		if call, ok = sel.X.(*ast.CallExpr); !ok {
			return
		}
	}
}

// makerCall reads maker(…).With…(…).
func (s *scanner) makerCall(call *ast.CallExpr) (name string, resolution ast.Expr, made *ast.CallExpr) {
	for {
		switch fun := call.Fun.(type) {
		case *ast.Ident:
			if len(s.makers[fun.Name]) > 0 {
				return fun.Name, resolution, call
			}
			return "", nil, nil
		case *ast.SelectorExpr:
			if fun.Sel.Name == "WithResolution" && resolution == nil {
				resolution = message(call.Args)
			}
			inner, ok := fun.X.(*ast.CallExpr)
			if !ok {
				return "", nil, nil
			}
			call = inner
		default:
			return "", nil, nil
		}
	}
}

func (s *scanner) noteMade(m maker, call *ast.CallExpr, resolution ast.Expr) {
	if m.within != nil && (call.Pos() < m.within.Pos() || call.End() > m.within.End()) {
		return
	}
	env := map[string]ast.Expr{}
	for i, p := range m.params {
		if i < len(call.Args) {
			env[p] = call.Args[i]
		}
	}
	row := m.row
	if resolution != nil {
		row[3] = resolution
	}
	s.note(row, env)
}

// note keeps a row whose code is known; a maker's own is known by its calls only.
func (s *scanner) note(row [4]ast.Expr, env map[string]ast.Expr) {
	f := faultRow{kind: s.kind(row[0], env), code: s.text(row[1], env), message: s.text(row[2], env), resolution: s.text(row[3], env), file: s.file}
	if f.code == "" || strings.Contains(f.code, "…") {
		return
	}
	s.rows = append(s.rows, f)
}

func (s *scanner) kind(e ast.Expr, env map[string]ast.Expr) string {
	if sel, ok := e.(*ast.SelectorExpr); ok {
		return snake(sel.Sel.Name)
	}
	if id, ok := e.(*ast.Ident); ok && env[id.Name] != nil {
		return s.kind(env[id.Name], nil)
	}
	return "by what was sent" // Transient while nothing was carried out, else Uncertain
}

var verb = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z]`)

// text reads a constant expression; what is known only at run time is "…".
func (s *scanner) text(e ast.Expr, env map[string]ast.Expr) string {
	switch e := e.(type) {
	case nil:
		return ""
	case *ast.BasicLit:
		v, err := strconv.Unquote(e.Value)
		if err != nil {
			return "…"
		}
		return strings.ReplaceAll(verb.ReplaceAllString(strings.ReplaceAll(v, "%%", "\x00"), "…"), "\x00", "%")
	case *ast.BinaryExpr:
		return s.text(e.X, env) + s.text(e.Y, env)
	case *ast.ParenExpr:
		return s.text(e.X, env)
	case *ast.SelectorExpr:
		if e.Sel.Name == "room" {
			return "SYSTEM"
		}
	case *ast.Ident:
		if e.Name == "room" {
			return "SYSTEM"
		}
		if v := env[e.Name]; v != nil {
			return s.text(v, nil)
		}
		if v := s.consts[e.Name]; v != nil {
			return s.text(v, nil)
		}
	}
	return "…"
}

func snake(name string) string {
	return strings.ToLower(regexp.MustCompile(`([a-z])([A-Z])`).ReplaceAllString(name, "${1}_$2"))
}
