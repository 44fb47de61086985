package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"towpath/cmd/towpath/stack"
	"towpath/schema/fault"
)

// pgbenchScript accepts one event as a hand-written receiver would: the rows
// that our inbox writes, in one statement and one commit. The body travels as a
// parameter of a prepared statement, which is pgbench's fastest way.
const pgbenchScript = `\set id random(1, 1000000000000000)
WITH e AS (
    INSERT INTO inbound_event (connection, kind, external_id, delivery_id, topic, version, complete)
    VALUES ('demo-shop', 'order', CAST(:id AS text), CAST(:id AS text), 'orders/updated', '2026-11-02T09:00:00.000000000Z', true)
    RETURNING id
), b AS (
    INSERT INTO inbound_body (event_id, format, body) SELECT id, 'hook', CAST(:body AS bytea) FROM e
)
INSERT INTO object (connection, kind, external_id, due_at) VALUES ('demo-shop', 'order', CAST(:id AS text), now());
`

// pgbench is PostgreSQL's own load generator on one script.
type pgbench struct {
	path, script string
	body         string
	pg           *stack.Postgres
	db           string
}

func newPgbench(pg *stack.Postgres, db, dir string, body []byte) (*pgbench, error) {
	path, err := findPgbench()
	if err != nil {
		return nil, err
	}
	p := &pgbench{path: path, script: filepath.Join(dir, "accept.sql"), body: string(body), pg: pg, db: db}
	return p, os.WriteFile(p.script, []byte(pgbenchScript), 0o644)
}

func findPgbench() (string, error) {
	best, major := "", -1
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/pgbench")
	for _, f := range found {
		if n, err := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(f)))); err == nil && n > major {
			best, major = f, n
		}
	}
	if best != "" {
		return best, nil
	}
	if path, err := exec.LookPath("pgbench"); err == nil {
		return path, nil
	}
	return "", fault.New(fault.Unsupported, "bench.no_pgbench", "pgbench is not installed").
		WithResolution("Install PostgreSQL's contributed programs; Debian's package postgresql has it.")
}

var tps = regexp.MustCompile(`tps = ([0-9.]+) \(without initial connection time\)`)

// run makes n inserts over so many connections and gives inserts per second.
func (p *pgbench) run(ctx context.Context, n, connections int) (float64, error) {
	out, err := exec.CommandContext(ctx, p.path, "-n", "-M", "prepared", "-c", strconv.Itoa(connections), "-j", "2",
		"-t", strconv.Itoa(n/connections), "-f", p.script, "-D", "body="+p.body,
		"-h", p.pg.Host, "-p", strconv.Itoa(p.pg.Port), "-U", p.pg.Superuser, p.db).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("pgbench: %w\n%s", err, out)
	}
	m := tps.FindSubmatch(out)
	if m == nil || !strings.Contains(string(out), "number of failed transactions: 0") {
		return 0, fmt.Errorf("pgbench did not succeed:\n%s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
