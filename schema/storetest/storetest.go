// Package storetest gives tests of all rooms a real PostgreSQL: one fresh,
// migrated database per test, gone when the test ends, so that tests run in
// parallel and see nothing of each other, not even advisory locks. Each is a
// copy of a template that was migrated once: all migrations take ten times the
// processor's time of a copy.
//
// TOWPATH_TEST_DATABASE_URL names a database whose user may create databases
// and schemas. Without it a test skips and says so; with TOWPATH_REQUIRE_REAL=1
// it fails.
package storetest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"net/url"
	"os"
	"testing"

	_ "github.com/lib/pq" // the driver that the store uses

	"towpath/schema/store"
)

// Open gives a store on a fresh database. It is closed and dropped with the test.
func Open(t testing.TB) *store.Store {
	t.Helper()
	return OpenAt(t, NewDatabase(t))
}

// OpenAt opens one more store on a database made by NewDatabase, as another
// process would.
func OpenAt(t testing.TB, dsn string) *store.Store {
	t.Helper()
	s, err := store.Open(context.Background(), dsn, store.Options{})
	if err != nil {
		t.Fatalf("open the test database: %v", err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// NewDatabase copies the migrated template and gives the address of the copy,
// for tests that hand it to another process or look behind the store's back.
func NewDatabase(t testing.TB) (dsn string) {
	t.Helper()
	base := databaseURL(t)
	admin := connect(t, base.String())
	name := "test_" + randomName()
	// Copying files costs a quarter of what PostgreSQL's default does, which
	// writes all of the copy to its log.
	if _, err := admin.ExecContext(t.Context(), `CREATE DATABASE `+name+` TEMPLATE `+template(t, base, admin)+` STRATEGY file_copy`); err != nil {
		t.Fatalf("create a database for the test: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), `DROP DATABASE `+name+` WITH (FORCE)`); err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
		_ = admin.Close()
	})
	return at(base, name)
}

// NewSchema makes an empty schema and gives the address that leads to it, for
// tests of what comes before the first migration, and of migrating.
func NewSchema(t testing.TB) (dsn string) {
	t.Helper()
	base := databaseURL(t)
	admin := connect(t, base.String())
	name := "test_" + randomName()
	if _, err := admin.ExecContext(t.Context(), `CREATE SCHEMA `+name); err != nil {
		t.Fatalf("create a schema for the test: %v", err)
	}
	t.Cleanup(func() {
		if _, err := admin.ExecContext(context.Background(), `DROP SCHEMA `+name+` CASCADE`); err != nil {
			t.Errorf("drop the test's schema: %v", err)
		}
		_ = admin.Close()
	})
	q := base.Query()
	q.Set("options", "-csearch_path="+name)
	base.RawQuery = q.Encode()
	return base.String()
}

// Query opens a plain connection to the same schema, for what a test must see
// or do behind the store's back.
func Query(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db := connect(t, dsn)
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func connect(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	if err == nil {
		err = db.PingContext(t.Context())
	}
	if err != nil {
		t.Fatalf("reach the test database: %v", err)
	}
	return db
}

func databaseURL(t testing.TB) *url.URL {
	t.Helper()
	text := os.Getenv("TOWPATH_TEST_DATABASE_URL")
	if text == "" {
		const missing = "TOWPATH_TEST_DATABASE_URL is not set: this test needs a real PostgreSQL"
		if os.Getenv("TOWPATH_REQUIRE_REAL") == "1" {
			t.Fatal(missing)
		}
		t.Skip("SKIPPED, NOT PROVED: " + missing)
	}
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal("TOWPATH_TEST_DATABASE_URL is not a postgres:// URL")
	}
	return u
}

func randomName() string {
	b := make([]byte, 8)
	_, _ = rand.Read(b)
	return hex.EncodeToString(b)
}
