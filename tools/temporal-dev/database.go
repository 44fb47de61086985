package main

import (
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/headers"
	sqliteplugin "go.temporal.io/server/common/persistence/sql/sqlplugin/sqlite"
	sqliteschema "go.temporal.io/server/schema/sqlite"
	"google.golang.org/protobuf/types/known/durationpb"

	"towpath/tools/temporal-dev/internal/options"
)

// retention is how long finished workflows can be looked at. The library's 24 h
// would lose Friday's runs by Monday.
const retention = 72 * time.Hour

// openStore makes the SQLite store ready (file, schema, namespaces) and returns
// its configuration for the server. release gives up the file's lock; the
// kernel does so too when the process is killed.
func openStore(o *options.Options) (cfg *config.SQL, release func(), err error) {
	release = func() {}
	cfg = &config.SQL{PluginName: sqliteplugin.PluginName, ConnectAttributes: map[string]string{}}
	if o.DBFilename == "" {
		// A shared in-memory database lives as long as one connection does; the
		// plugin's pool never closes its connection and creates the schema.
		cfg.DatabaseName = "temporal-dev-" + strconv.FormatUint(rand.Uint64(), 36)
		cfg.ConnectAttributes["mode"] = "memory"
		cfg.ConnectAttributes["cache"] = "shared"
	} else {
		if cfg.DatabaseName, err = filepath.Abs(o.DBFilename); err != nil {
			return nil, nil, err
		}
		if release, err = lockFile(cfg.DatabaseName + ".lock"); err != nil {
			return nil, nil, fmt.Errorf("database file %s: %w", o.DBFilename, err)
		}
		unlock := release
		release = func() {
			// Moves the write-ahead log into the file, so that after an orderly
			// stop the file alone is a full copy.
			_ = withDB(fileDSN(cfg.DatabaseName), func(db *sql.DB) error {
				_, err := db.Exec("PRAGMA wal_checkpoint(TRUNCATE)")
				return err
			})
			unlock()
		}
		if err = prepareFile(cfg.DatabaseName); err != nil {
			release()
			return nil, nil, fmt.Errorf("database file %s: %w", o.DBFilename, err)
		}
		cfg.ConnectAttributes["mode"] = "rwc"
		// Without a write-ahead log every commit syncs twice: 5-8 workflows a
		// second instead of 25-60. With it, synchronous=1 (NORMAL) survives a
		// killed process completely; a power cut may lose the last commits but
		// does not damage the file (sqlite.org/pragma.html#pragma_synchronous).
		cfg.ConnectAttributes["journal_mode"] = "wal"
		cfg.ConnectAttributes["synchronous"] = "1"
		// Somebody looking into the file with the sqlite3 shell makes the server
		// wait, not fail.
		cfg.ConnectAttributes["busy_timeout"] = "10000"
	}
	for k, v := range o.PragmaValues {
		cfg.ConnectAttributes[k] = v
	}

	var namespaces []*sqliteschema.NamespaceConfig
	for _, name := range o.Namespaces {
		ns, err := sqliteschema.NewNamespaceConfig(clusterName, name, false, o.SearchAttrs)
		if err != nil {
			release()
			return nil, nil, fmt.Errorf("namespace %s: %w", name, err)
		}
		ns.Detail.Config.Retention = durationpb.New(retention)
		namespaces = append(namespaces, ns)
	}
	// Leaves namespaces alone which exist already.
	if err := sqliteschema.CreateNamespaces(cfg, namespaces...); err != nil {
		release()
		return nil, nil, err
	}
	if o.DBFilename == "" {
		err = withDB("file:"+cfg.DatabaseName+"?mode=memory&cache=shared", dropIndexes)
	}
	if err != nil {
		release()
		return nil, nil, err
	}
	return cfg, release, nil
}

// keptIndexes are what people list workflows by. The schema has one more for
// every field and for every search attribute that there could be, some sixty,
// and each workflow that starts, upserts or ends writes a page of every one of
// them: a third of all that the server does. Who filters by another field
// searches the few thousand workflows of a development machine one by one.
var keptIndexes = []string{"default_idx", "by_workflow_id", "by_workflow_type", "by_status", "by_temporal_scheduled_by_id"}

func dropIndexes(db *sql.DB) error {
	rows, err := db.Query(`SELECT name FROM sqlite_master WHERE type = 'index' AND tbl_name = 'executions_visibility' AND sql IS NOT NULL`)
	if err != nil {
		return err
	}
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return err
		}
		if !slices.Contains(keptIndexes, name) {
			names = append(names, name)
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	for _, name := range names {
		if _, err := db.Exec(`DROP INDEX "` + name + `"`); err != nil {
			return err
		}
	}
	return nil
}

// prepareFile creates the database with its schema if there is none, and
// refuses a file of another server release: Temporal has no migrations for
// SQLite, and a mismatch would show up much later as obscure SQL errors.
func prepareFile(path string) error {
	switch st, err := os.Stat(path); {
	case err == nil && st.Size() > 0:
		return checkVersion(path)
	case err != nil && !errors.Is(err, os.ErrNotExist):
		return err
	}
	// Under another name first, so that being killed here never leaves a file
	// with half a schema.
	tmp := path + ".new"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	cfg := &config.SQL{
		PluginName:        sqliteplugin.PluginName,
		DatabaseName:      tmp,
		ConnectAttributes: map[string]string{"mode": "rwc", "synchronous": "0"},
	}
	if err := sqliteschema.SetupSchema(cfg); err != nil {
		return fmt.Errorf("creating the schema: %w", err)
	}
	if err := withDB(fileDSN(tmp), func(db *sql.DB) error {
		if err := dropIndexes(db); err != nil {
			return err
		}
		_, err := db.Exec(fmt.Sprintf("PRAGMA user_version = %d", versionNumber(headers.ServerVersion)))
		return err
	}); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// checkVersion compares the server release noted in the file with ours. Files
// of the official CLI carry none and are taken as they are; patch releases do
// not change the schema.
func checkVersion(path string) error {
	var have int
	if err := withDB(fileDSN(path), func(db *sql.DB) error {
		return db.QueryRow("PRAGMA user_version").Scan(&have)
	}); err != nil {
		return err
	}
	if have != 0 && have/1000 != versionNumber(headers.ServerVersion)/1000 {
		return fmt.Errorf("was made by Temporal server %d.%d and this one is %s; "+
			"SQLite files cannot be upgraded: start with another file, or delete this one if its workflows may go",
			have/1_000_000, have/1000%1000, headers.ServerVersion)
	}
	return nil
}

// withDB runs f on a short-lived connection of its own, since the plugin's pool
// keeps every connection for the life of the process.
func withDB(dsn string, f func(*sql.DB) error) error {
	db, err := sql.Open("sqlite", dsn)
	if err != nil {
		return err
	}
	return errors.Join(f(db), db.Close())
}

func fileDSN(path string) string { return "file:" + path + "?mode=rw" }

// versionNumber makes 1032001 of "1.32.1", for SQLite's 32-bit user_version.
func versionNumber(v string) int {
	n := 0
	for part := range strings.SplitSeq(v, ".") {
		i, _ := strconv.Atoi(part) // "1-rc" of a pre-release counts as 0
		n = n*1000 + i
	}
	return n
}
