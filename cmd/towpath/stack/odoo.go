package stack

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"

	"towpath/schema/fault"
)

var quiet = slog.New(slog.DiscardHandler)

// OdooOptions are the settings of an Odoo server.
type OdooOptions struct {
	Workers int    // HTTP worker processes; default 2
	DB      string // small letters, digits, _; default "odoo"
	Port    int    // default: a free one
	Outbox  bool   // with odoo_addons/towpath_outbox installed, its rights given to the bot
}

// Odoo is a real Odoo 19 with the test records of tools/odoo19/fixtures.py.
type Odoo struct {
	*Process
	URL          string // without a slash at the end
	DB           string
	Login        string // the bot, with sales, stock and invoice rights
	Password     string
	APIKey       string // the bot's, for JSON-2
	AdminAPIKey  string // of user admin, whose password is admin
	PGDSN        string // its database, for its superuser: to count and to look
	FixturesPath string // a JSON file with the ids of the test records
}

// Odoo starts a server with a fresh copy of the template database in the
// stack's PostgreSQL, which it starts if need be; with a folder of one's own,
// a database that exists there is kept. A second call with another DB gives a
// second server, with the same DB the one that is there. Installing Odoo takes
// minutes, once per machine.
//
// Faults: stack.no_odoo (Unsupported: not root, or not Debian or Ubuntu),
// stack.odoo_options (Invalid), stack.no_source (Unsupported), those of
// Postgres and of [Process.Start].
func (s *Stack) Odoo(ctx context.Context, o OdooOptions) (*Odoo, error) {
	if o.DB == "" {
		o.DB = "odoo"
	}
	if o.Workers == 0 {
		o.Workers = 2
	}
	if !regexp.MustCompile(`^[a-z0-9_]+$`).MatchString(o.DB) || o.Workers < 0 {
		return nil, fault.New(fault.Invalid, "stack.odoo_options", "the database's name or the number of workers is not possible").
			WithResolution("Names are small letters, digits and _; workers are 1 or more.")
	}
	s.odooMu.Lock()
	defer s.odooMu.Unlock()
	for _, there := range s.odoos {
		if there.DB == o.DB {
			return there, nil
		}
	}
	root, err := s.repo()
	if err != nil {
		return nil, err
	}
	tools := filepath.Join(root, "tools", "odoo19")
	// Before PostgreSQL: it is the part that a machine may be unable to do.
	if err := s.odooScript(ctx, tools, nil, "install.sh"); err != nil {
		return nil, err
	}
	pg, err := s.Postgres(ctx)
	if err != nil {
		return nil, err
	}
	if err := s.odooDatabase(ctx, tools, pg, o.DB, o.Outbox); err != nil {
		return nil, err
	}
	odoo, err := describeOdoo(pg, o.DB)
	if err != nil {
		return nil, err
	}
	if err := s.serveOdoo(ctx, tools, pg, odoo, o); err != nil {
		return nil, err
	}
	s.say("Odoo is up on %s", odoo.URL)
	s.odoos = append(s.odoos, odoo)
	return odoo, nil
}

// odooDatabase makes sure of the template and its copy.
func (s *Stack) odooDatabase(ctx context.Context, tools string, pg *Postgres, db string, outbox bool) error {
	host, port := pg.Host, strconv.Itoa(pg.Port)
	if err := s.odooTemplate(ctx, tools, pg); err != nil {
		return err
	}
	if err := s.keepOdooCluster(ctx, tools); err != nil {
		s.say("no cluster with Odoo's template is kept: %v", err)
	}
	found, err := pg.hasDB(ctx, db)
	if err != nil {
		return fault.New(fault.Transient, "stack.database", "PostgreSQL does not say which databases it has").
			WithDetail(err.Error()).WithCause(err)
	}
	if found {
		return nil
	}
	if !outbox {
		return s.odooScript(ctx, tools, pgEnv(pg), "newdb.sh", db, host, port)
	}
	if err := s.odooScript(ctx, tools, pgEnv(pg), "outbox.sh", host, port); err != nil {
		return err
	}
	return s.odooScript(ctx, tools, pgEnv(pg), "newdb.sh", "--outbox", db, host, port)
}

// odooTemplate does nothing in a cluster that was copied from one with the
// template of now.
func (s *Stack) odooTemplate(ctx context.Context, tools string, pg *Postgres) error {
	return s.odooScript(ctx, tools, pgEnv(pg), "template.sh", pg.Host, strconv.Itoa(pg.Port))
}

func (s *Stack) serveOdoo(ctx context.Context, tools string, pg *Postgres, odoo *Odoo, o OdooOptions) error {
	port, err := portOr(o.Port)
	if err != nil {
		return err
	}
	longPolling, err := FreePort()
	if err != nil {
		return err
	}
	odoo.URL = fmt.Sprintf("http://127.0.0.1:%d", port)
	args := []string{filepath.Join(tools, "serve.sh"), "--db", o.DB, "--port", strconv.Itoa(port),
		"--gevent-port", strconv.Itoa(longPolling), "--workers", strconv.Itoa(o.Workers),
		"--pghost", pg.Host, "--pgport", strconv.Itoa(pg.Port),
		"--data", filepath.Join(s.dir, "odoo-"+o.DB)}
	if o.Outbox {
		args = append(args, "--addons", filepath.Join(tools, "..", "..", "odoo_addons"))
	}
	odoo.Process = s.Process(ProcessSpec{
		Name:  "odoo-" + o.DB,
		Path:  "bash",
		Args:  args,
		Env:   pgEnv(pg),
		Ready: odoo.healthy,
	})
	return odoo.Start(ctx)
}

// odooScript runs one of the scripts, whose exit code 3 says that this machine
// cannot run Odoo.
func (s *Stack) odooScript(ctx context.Context, tools string, env []string, name string, args ...string) error {
	_, err := s.script(ctx, true, ProcessSpec{Name: "odoo-" + strings.TrimSuffix(name, ".sh"), Path: "bash",
		Args: append([]string{filepath.Join(tools, name)}, args...), Env: env, ReadyTimeout: installTimeout})
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 3 {
		var start *StartError
		errors.As(err, &start)
		return fault.New(fault.Unsupported, "stack.no_odoo", "this machine cannot run a real Odoo").
			WithResolution("Use root on Debian or Ubuntu, or do without the real Odoo. It said: %s", lastLine(start.Tail)).
			WithCause(err)
	}
	return err
}

// pgEnv puts ours in the place of the caller's own PG… variables.
func pgEnv(pg *Postgres) []string {
	return []string{"PGHOST=" + pg.Host, "PGPORT=" + strconv.Itoa(pg.Port), "PGUSER=" + pg.Superuser,
		"PGPASSWORD=", "PGDATABASE=postgres"}
}

// describeOdoo reads what template.sh left in the cache.
func describeOdoo(pg *Postgres, db string) (*Odoo, error) {
	cache, err := cacheDir()
	if err != nil {
		return nil, err
	}
	template := filepath.Join(cache, "odoo19", "template")
	key, err1 := os.ReadFile(filepath.Join(template, "api-key"))
	admin, err2 := os.ReadFile(filepath.Join(template, "admin-api-key"))
	if err := errors.Join(err1, err2); err != nil {
		return nil, fault.New(fault.Transient, "stack.no_template", "Odoo's template has no API keys").
			WithResolution("Delete %s; it is made anew.", template).WithDetail(err.Error()).WithCause(err)
	}
	return &Odoo{
		DB: db, Login: "towpath", Password: "towpath",
		APIKey: strings.TrimSpace(string(key)), AdminAPIKey: strings.TrimSpace(string(admin)),
		PGDSN: pg.DSN(db), FixturesPath: filepath.Join(template, "fixtures.json"),
	}, nil
}

// healthy asks the server, which asks its database.
func (o *Odoo) healthy(ctx context.Context) error {
	return Healthy(ctx, o.URL+"/web/health?db_server_status=1")
}
