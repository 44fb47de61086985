package stack

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/lib/pq"

	"towpath/schema/fault"
)

// ScratchDB is a database that is always there, for tests that make a schema
// or a database of their own.
const ScratchDB = "towpath_test"

// Postgres is a private PostgreSQL cluster that trusts everybody on loopback.
type Postgres struct {
	*Process
	Host      string // 127.0.0.1
	Port      int
	Superuser string // "postgres", without a password
}

// Postgres starts the stack's cluster, or gives the one that is there. It uses
// the programs of the system (see the Debian package "postgresql", which is
// installed when it is missing and we are root), and never runs as root: then
// as user postgres or nobody.
//
// Faults: stack.no_postgres (Unsupported), stack.dir (Invalid: the other user
// cannot reach the folder), those of [Process.Start].
func (s *Stack) Postgres(ctx context.Context) (*Postgres, error) {
	s.pgMu.Lock()
	defer s.pgMu.Unlock()
	if s.pg != nil {
		return s.pg, nil
	}
	bin, err := s.postgresPrograms(ctx)
	if err != nil {
		return nil, err
	}
	user, err := unprivileged()
	if err != nil {
		return nil, err
	}
	home := filepath.Join(s.dir, "postgres")
	data := filepath.Join(home, "data")
	if err := user.makeDir(home); err != nil {
		return nil, err
	}
	if _, err := os.Stat(data); err != nil {
		if err := s.newCluster(ctx, bin, home, data, user); err != nil {
			return nil, err
		}
	}
	port, err := FreePort()
	if err != nil {
		return nil, err
	}
	pg := &Postgres{Host: "127.0.0.1", Port: port, Superuser: "postgres"}
	pg.Process = s.Process(ProcessSpec{
		Name:       "postgres",
		Path:       filepath.Join(bin, "postgres"),
		Args:       pg.settings(home, data, s.opts.Fsync),
		Env:        []string{"LC_ALL=C", "PGDATA="},
		Dir:        home,
		Ready:      pg.ping,
		StopSignal: syscall.SIGINT, // fast shutdown: SIGTERM would wait for the clients
		user:       user,
		// Immediate shutdown: also ends the server's children and frees its shared memory.
		deathSignal: syscall.SIGQUIT,
		// The remains of a server that was killed a moment ago, with its stack.
		startAgain: func(tail string) bool {
			return strings.Contains(tail, "pre-existing shared memory block") ||
				strings.Contains(tail, `lock file "postmaster.pid" already exists`)
		},
	})
	if err := pg.Start(ctx); err != nil {
		return nil, err
	}
	if err := pg.CreateDB(ctx, ScratchDB); err != nil && !fault.Is(err, fault.Conflict) {
		return nil, errors.Join(err, pg.Kill())
	}
	s.say("PostgreSQL is up on 127.0.0.1:%d", port)
	s.pg = pg
	return pg, nil
}

func (s *Stack) initdb(ctx context.Context, bin, home, data string, user *account) error {
	_, err := s.script(ctx, false, ProcessSpec{
		Name: "initdb",
		Path: filepath.Join(bin, "initdb"),
		// The collation is that of tools/odoo19/template.sh: by bytes, with real upper and lower case.
		Args: []string{"-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
			"--lc-collate=C", "--lc-ctype=" + ctype, "--no-sync", "--no-instructions"},
		Env:  []string{"LC_ALL=C", "PGDATA="},
		Dir:  home,
		user: user,
	})
	return err
}

func (p *Postgres) settings(home, data string, fsync bool) []string {
	socket := home
	if len(socket) > 80 { // a socket's path holds 103 to 107 bytes
		socket = ""
	}
	args := []string{"-D", data, "-p", strconv.Itoa(p.Port)}
	for _, c := range []string{
		"listen_addresses=127.0.0.1", "unix_socket_directories=" + socket,
		"max_connections=200", "shared_buffers=64MB", "timezone=UTC", "log_timezone=UTC",
		"logging_collector=off", "log_destination=stderr", "log_line_prefix=%m [%p] ",
	} {
		args = append(args, "-c", c)
	}
	if !fsync {
		// Not synchronous_commit=off: that keeps commits in the server's own
		// memory for a moment, and a killed one loses what it had acknowledged.
		args = append(args, "-c", "fsync=off", "-c", "full_page_writes=off",
			"-c", "wal_level=minimal", "-c", "max_wal_senders=0", "-c", "max_wal_size=96MB", "-c", "min_wal_size=32MB")
	}
	return args
}

// DSN is the address of a database for its superuser.
func (p *Postgres) DSN(db string) string {
	u := url.URL{Scheme: "postgres", User: url.User(p.Superuser), Path: "/" + db,
		Host: fmt.Sprintf("%s:%d", p.Host, p.Port), RawQuery: "sslmode=disable"}
	return u.String()
}

// CreateDB makes an empty database.
//
// Faults: stack.database_exists (Conflict), stack.database (Transient).
func (p *Postgres) CreateDB(ctx context.Context, name string) error {
	return p.exec(ctx, "create database "+pq.QuoteIdentifier(name))
}

// DropDB removes a database, with the connections to it; a missing one is no
// error.
//
// Faults: stack.database (Transient).
func (p *Postgres) DropDB(ctx context.Context, name string) error {
	return p.exec(ctx, "drop database if exists "+pq.QuoteIdentifier(name)+" with (force)")
}

func (p *Postgres) exec(ctx context.Context, statement string) error {
	err := p.with(func(db *sql.DB) error {
		_, err := db.ExecContext(ctx, statement)
		return err
	})
	var refused *pq.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &refused) && refused.Code == "42P04": // duplicate_database
		return fault.New(fault.Conflict, "stack.database_exists", "the database exists already").WithCause(err)
	}
	return fault.New(fault.Transient, "stack.database", "PostgreSQL refused a statement of the stack").
		WithDetail(statement + ": " + err.Error()).WithCause(err)
}

// hasDB reports whether a database exists.
func (p *Postgres) hasDB(ctx context.Context, name string) (found bool, err error) {
	err = p.with(func(db *sql.DB) error {
		return db.QueryRowContext(ctx, "select exists (select from pg_database where datname = $1)", name).Scan(&found)
	})
	return found, err
}

func (p *Postgres) ping(ctx context.Context) error {
	return p.with(func(db *sql.DB) error { return db.PingContext(ctx) })
}

// with uses a connection of its own: a pool would hold dead ones after a kill.
func (p *Postgres) with(use func(*sql.DB) error) error {
	db, err := sql.Open("postgres", p.DSN("postgres"))
	if err != nil {
		return err
	}
	return errors.Join(use(db), db.Close())
}
