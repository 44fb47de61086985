package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"github.com/jmoiron/sqlx"
	"github.com/lib/pq"
	"github.com/pressly/goose/v3"

	"towpath/schema/fault"
	"towpath/schema/migrations"
)

// Store is the book of record.
type Store struct {
	db  *sqlx.DB
	dsn string
}

// Options bound the connection pool.
type Options struct {
	MaxConns int // default 20
}

// openWithin is how long Open waits for a PostgreSQL that takes connections and
// does not answer: it may be starting, or its machine stand still.
const openWithin = 30 * time.Second

// Open connects to PostgreSQL. The DSN is a postgres:// URL; it fails with a
// clear fault when nobody answers.
func Open(ctx context.Context, dsn string, opt Options) (*Store, error) {
	full, err := withDriverOptions(dsn)
	if err != nil {
		return nil, err
	}
	db, err := sqlx.Open("postgres", full)
	if err != nil {
		return nil, translate(err)
	}
	if opt.MaxConns == 0 {
		opt.MaxConns = 20
	}
	db.SetMaxOpenConns(opt.MaxConns)
	db.SetMaxIdleConns(opt.MaxConns)
	db.SetConnMaxIdleTime(5 * time.Minute)
	s := &Store{db: db, dsn: full}
	ctx, cancel := context.WithTimeout(ctx, openWithin)
	defer cancel()
	for {
		err := db.PingContext(ctx)
		if err == nil {
			return s, nil
		}
		var late net.Error
		if !errors.As(err, &late) || !late.Timeout() || ctx.Err() != nil {
			_ = db.Close()
			return nil, translate(err)
		}
	}
}

// withDriverOptions asks lib/pq to send parameters with the query: one round
// trip instead of two (prepare, execute) for every statement.
func withDriverOptions(dsn string) (string, error) {
	u, err := url.Parse(dsn)
	if err != nil || (u.Scheme != "postgres" && u.Scheme != "postgresql") {
		return "", fault.New(fault.Invalid, "store.bad_dsn", "the database address is not a postgres:// URL").
			WithField("TOWPATH_DATABASE_URL").
			WithResolution("set it to postgres://USER:PASSWORD@HOST:5432/DATABASE?sslmode=require")
	}
	q := u.Query()
	q.Set("binary_parameters", "yes")
	if !q.Has("connect_timeout") {
		q.Set("connect_timeout", "5")
	}
	if !q.Has("application_name") {
		q.Set("application_name", "towpath")
	}
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// Close ends all connections.
func (s *Store) Close() error { return s.db.Close() }

// Ping reports whether PostgreSQL answers and takes writes.
func (s *Store) Ping(ctx context.Context) error {
	var readOnly bool
	if err := s.db.GetContext(ctx, &readOnly, `SELECT pg_is_in_recovery()`); err != nil {
		return translate(err)
	}
	if readOnly {
		return fault.New(fault.Transient, "store.read_only", "PostgreSQL is a standby and takes no writes")
	}
	return nil
}

// Migrate brings the schema up to date; safe when many processes do it at once.
func (s *Store) Migrate(ctx context.Context) (applied int, err error) {
	lock, err := s.db.Conn(ctx)
	if err != nil {
		return 0, translate(err)
	}
	defer func() { _ = lock.Close() }()
	// A session lock on a connection of its own: goose's own runs in others.
	if _, err := lock.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext('towpath migrate'))`); err != nil {
		return 0, translate(err)
	}
	defer func() {
		_, _ = lock.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('towpath migrate'))`)
	}()
	p, err := goose.NewProvider(goose.DialectPostgres, s.db.DB, migrations.Files, goose.WithVerbose(false))
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	results, err := p.Up(ctx)
	if err != nil {
		return len(results), fmt.Errorf("migrate: %w", err)
	}
	return len(results), nil
}

// inTx runs f in one transaction and commits it when f succeeds.
func (s *Store) inTx(ctx context.Context, f func(tx *sqlx.Tx) error) error {
	tx, err := s.db.BeginTxx(ctx, nil)
	if err != nil {
		return translate(err)
	}
	if err := f(tx); err != nil {
		_ = tx.Rollback()
		return translate(err)
	}
	return translate(tx.Commit())
}

// textArray is a parameter that is an empty array, not NULL, when there is
// nothing in it: to a comparison with NULL the answer is never yes.
func textArray(texts []string) any {
	if texts == nil {
		texts = []string{}
	}
	return pq.Array(texts)
}

// translate is the table PostgreSQL -> fault. Unknown stays Transient.
func translate(err error) error {
	if err == nil {
		return nil
	}
	var f *fault.Fault
	if errors.As(err, &f) {
		return err
	}
	if errors.Is(err, sql.ErrNoRows) {
		return fault.New(fault.NotFound, "store.not_found", "no such row").WithCause(err)
	}
	var pqErr *pq.Error
	if errors.As(err, &pqErr) {
		return translatePQ(pqErr)
	}
	var netErr net.Error
	if errors.As(err, &netErr) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		strings.Contains(err.Error(), "bad connection") {
		return fault.New(fault.Transient, "store.unreachable", "PostgreSQL does not answer").
			WithResolution("check that PostgreSQL runs and that TOWPATH_DATABASE_URL is right").WithCause(err)
	}
	return err
}

func translatePQ(e *pq.Error) error {
	code := string(e.Code)
	if len(code) != 5 {
		return fault.New(fault.Transient, "store.unexpected", "PostgreSQL answered with an error").WithDetail(e.Message).WithCause(e)
	}
	switch {
	case code == "53100":
		return fault.New(fault.Transient, "store.disk_full", "PostgreSQL's disk is full").
			WithResolution("free disk space on the database server; nothing accepted so far is lost").WithCause(e)
	case code[:2] == "53", code[:2] == "57", code[:2] == "08", code[:2] == "40", code == "55P03", code == "25006":
		return fault.New(fault.Transient, "store.busy", "PostgreSQL refused for now").WithCause(e)
	case code == "28P01", code == "28000":
		return fault.New(fault.Unauthorized, "store.credentials", "PostgreSQL refused the user or password").
			WithResolution("check user and password in TOWPATH_DATABASE_URL").WithCause(e)
	case code == "3D000":
		return fault.New(fault.NotFound, "store.no_database", "the database does not exist").
			WithResolution("create it: createdb NAME").WithCause(e)
	case code == "42P01":
		return fault.New(fault.Transient, "store.not_migrated", "the schema is not there yet").
			WithResolution("run: towpath migrate").WithCause(e)
	case code[:2] == "22", code[:2] == "23":
		return fault.New(fault.Invalid, "store.refused", "PostgreSQL refused a value").
			WithField(e.Column).WithResolution("see the detail in the trail").WithDetail(e.Message).WithCause(e)
	default:
		return fault.New(fault.Transient, "store.unexpected", "PostgreSQL answered with an error (%s)", code).
			WithDetail(e.Message).WithCause(e)
	}
}
