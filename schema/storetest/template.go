package storetest

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"sync"
	"testing"

	"towpath/schema/migrations"
	"towpath/schema/store"
)

var made struct {
	sync.Mutex
	names map[string]string // of a template, by the address of its server
}

// template is the name of a database with all migrations, which nobody can
// connect to, or it could not be copied. Its name tells the migrations, so that
// it serves whoever has the same, on a server that stays, too.
func template(t testing.TB, base *url.URL, admin *sql.DB) string {
	t.Helper()
	made.Lock()
	defer made.Unlock()
	if name := made.names[base.String()]; name != "" {
		return name
	}
	name, err := makeTemplate(t.Context(), base, admin)
	if err != nil {
		t.Fatalf("make the template of test databases: %v", err)
	}
	if made.names == nil {
		made.names = map[string]string{}
	}
	made.names[base.String()] = name
	return name
}

// makeTemplate does nothing where another process made it. One that was killed
// half-way leaves another name, so that what has the name is whole.
func makeTemplate(ctx context.Context, base *url.URL, admin *sql.DB) (string, error) {
	sum, err := hashOfMigrations()
	if err != nil {
		return "", err
	}
	name := "towpath_template_" + sum
	one, err := admin.Conn(ctx) // the lock is this connection's
	if err != nil {
		return "", err
	}
	defer func() { _ = one.Close() }()
	if _, err := one.ExecContext(ctx, `SELECT pg_advisory_lock(hashtext('towpath test template'))`); err != nil {
		return "", err
	}
	defer func() {
		_, _ = one.ExecContext(context.WithoutCancel(ctx), `SELECT pg_advisory_unlock(hashtext('towpath test template'))`)
	}()
	var there bool
	if err := one.QueryRowContext(ctx, `SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)`, name).Scan(&there); err != nil || there {
		return name, err
	}
	fresh := name + "_new"
	for _, statement := range []string{`DROP DATABASE IF EXISTS ` + fresh + ` WITH (FORCE)`, `CREATE DATABASE ` + fresh} {
		if _, err := one.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	if err := migrate(ctx, at(base, fresh)); err != nil {
		return "", err
	}
	for _, statement := range []string{`ALTER DATABASE ` + fresh + ` ALLOW_CONNECTIONS false`, `ALTER DATABASE ` + fresh + ` RENAME TO ` + name} {
		if _, err := one.ExecContext(ctx, statement); err != nil {
			return "", err
		}
	}
	return name, nil
}

func migrate(ctx context.Context, dsn string) error {
	s, err := store.Open(ctx, dsn, store.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	_, err = s.Migrate(ctx)
	return err
}

func hashOfMigrations() (string, error) {
	h := sha256.New()
	err := fs.WalkDir(migrations.Files, ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := migrations.Files.ReadFile(path)
		_, _ = fmt.Fprintf(h, "%s %d\n%s", path, len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil))[:16], err
}

// at is the address of another database of the same server.
func at(base *url.URL, database string) string {
	u := *base
	u.Path = "/" + database
	return u.String()
}
