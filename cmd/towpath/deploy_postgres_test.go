package main

import (
	"context"
	"database/sql"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/cmd/towpath/stack"
	"towpath/schema/fault"
	"towpath/schema/store"
)

// The script that the postgres container runs once is run here by the system's
// PostgreSQL, and Towpath's and Temporal's schemas are made with the rights
// that it gives and no more.
func TestDeployDatabases(t *testing.T) {
	s, err := stack.New(stack.Options{})
	require.NoError(t, err)
	defer func() { assert.NoError(t, s.Close()) }()
	pg, err := s.Postgres(t.Context())
	if fault.Is(err, fault.Unsupported) && os.Getenv("TOWPATH_REQUIRE_REAL") != "1" {
		t.Skip("SKIPPED: there is no PostgreSQL here: ", err)
	}
	require.NoError(t, err)
	place := []string{"PGHOST=" + pg.Host, "PGPORT=" + strconv.Itoa(pg.Port)}
	const quoted = `it's "quoted" \and $more` // psql quotes it, not the shell

	script := func(env ...string) (string, error) {
		cmd := exec.Command("bash", repository+"/deploy/postgres/10-databases.sh")
		cmd.Env = append(append(os.Environ(), place...), env...)
		out, err := cmd.CombinedOutput()
		return string(out), err
	}
	out, err := script("TOWPATH_ROLE_PASSWORD=" + quoted)
	require.Error(t, err, "a missing password is an error and no empty password")
	require.Contains(t, out, "TEMPORAL_ROLE_PASSWORD: is not set")
	out, err = script("TOWPATH_ROLE_PASSWORD="+quoted, "TEMPORAL_ROLE_PASSWORD=other")
	require.NoError(t, err, out)
	assert.NotContains(t, out, "quoted")

	root := connect(t, pg.DSN("postgres"))
	for _, c := range []struct {
		role, database string
		may            bool
	}{
		{"towpath", "towpath", true}, {"towpath", "temporal", false}, {"towpath", "temporal_visibility", false},
		{"temporal", "towpath", false}, {"temporal", "temporal", true}, {"temporal", "temporal_visibility", true},
	} {
		var may bool
		require.NoError(t, root.QueryRow("select has_database_privilege($1, $2, 'connect')", c.role, c.database).Scan(&may))
		assert.Equal(t, c.may, may, "%s connects to %s", c.role, c.database)
	}
	var powers, limits, secrets int
	require.NoError(t, root.QueryRow(`select count(*) filter (where rolsuper or rolcreatedb or rolcreaterole or rolbypassrls),
		sum(rolconnlimit), count(*) filter (where rolpassword like 'SCRAM-SHA-256$%')
		from pg_authid where rolname in ('towpath', 'temporal')`).Scan(&powers, &limits, &secrets))
	assert.Zero(t, powers)
	assert.Equal(t, 2, secrets)
	assert.Less(t, limits, maxConnections(t), "the limits leave connections for a person")

	t.Run("towpath migrates", func(t *testing.T) {
		st, err := store.Open(t.Context(), as("towpath", pg.DSN("towpath")), store.Options{MaxConns: 4})
		require.NoError(t, err)
		defer st.Close()
		n, err := st.Migrate(t.Context())
		require.NoError(t, err)
		assert.Positive(t, n)
	})
	t.Run("temporal may have its extension", func(t *testing.T) {
		// The one statement of Temporal's visibility schema that asks for more
		// than tables: a trusted extension, which a database's owner may create.
		db := connect(t, as("temporal", pg.DSN("temporal_visibility")))
		_, err := db.Exec("create extension btree_gin")
		require.NoError(t, err)
	})
	t.Run("temporal's schema", func(t *testing.T) {
		if _, err := exec.LookPath("temporal-sql-tool"); err != nil {
			t.Skip("SKIPPED: temporal-sql-tool is not installed; deploy/temporal/schema.sh is not run")
		}
		for range 2 { // at every start
			cmd := exec.Command("sh", repository+"/deploy/temporal/schema.sh")
			cmd.Env = append(os.Environ(), "SQL_PLUGIN=postgres12", "SQL_HOST="+pg.Host, "SQL_PORT="+strconv.Itoa(pg.Port), "SQL_USER=temporal", "SQL_PASSWORD=other")
			out, err := cmd.CombinedOutput()
			require.NoError(t, err, "%s", out)
		}
		for database, table := range map[string]string{"temporal": "executions", "temporal_visibility": "executions_visibility"} {
			var exists bool
			require.NoError(t, connect(t, as("temporal", pg.DSN(database))).QueryRow("select to_regclass($1) is not null", table).Scan(&exists))
			assert.True(t, exists, "%s.%s", database, table)
		}
	})
}

func connect(t *testing.T, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open("postgres", dsn)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close() })
	require.NoError(t, db.PingContext(context.WithoutCancel(t.Context())))
	return db
}

// as is a superuser's address for another role; the test cluster asks nobody
// for a password.
func as(role, dsn string) string {
	return strings.Replace(dsn, "//postgres@", "//"+role+"@", 1)
}

// maxConnections is what the compose file gives the server.
func maxConnections(t *testing.T) int {
	t.Helper()
	for _, arg := range composed(t).Services["postgres"].Command {
		if value, ok := strings.CutPrefix(arg, "max_connections="); ok {
			n, err := strconv.Atoi(value)
			require.NoError(t, err)
			return n
		}
	}
	t.Fatal("max_connections is not set")
	return 0
}
