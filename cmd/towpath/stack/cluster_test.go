package stack

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestKeptClusters: with which files a cluster's copy is named, which other one
// serves in its place, and that one which nobody uses any more goes.
func TestKeptClusters(t *testing.T) {
	repo, cache, bin := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("TOWPATH_CACHE", cache)
	write := func(path, text string) {
		t.Helper()
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	module := filepath.Join(repo, "odoo_addons", "towpath_outbox")
	write(filepath.Join(repo, "tools", "temporal-dev", "build.sh"), "")
	write(filepath.Join(bin, "postgres"), "a program")
	write(filepath.Join(module, "models", "outbox.py"), "one")
	s := newStack(t, Options{Repo: repo, Odoo: true})
	user := &account{}

	require.Empty(t, s.keptOdooCluster(bin, user), "there is no template yet")
	id := filepath.Join(cache, "odoo19", "template", "id")
	write(id, "first")
	one := s.keptOdooCluster(bin, user)
	require.NotEmpty(t, one)
	write(filepath.Join(module, "__pycache__", "outbox.pyc"), "of no matter")
	write(filepath.Join(module, "tests", "test_outbox.py"), "of no matter")
	require.Equal(t, one, s.keptOdooCluster(bin, user))

	cluster := filepath.Join(t.TempDir(), "data")
	write(filepath.Join(cluster, "PG_VERSION"), "15")
	s.keepCluster(t.Context(), cluster, one)
	require.FileExists(t, filepath.Join(one, "PG_VERSION"))

	write(filepath.Join(module, "models", "outbox.py"), "two")
	two := s.keptOdooCluster(bin, user)
	require.NotEqual(t, one, two)
	require.Equal(t, []string{one}, others(two), "only the module's template is another")
	write(id, "second")
	require.Empty(t, others(s.keptOdooCluster(bin, user)), "all of them are others")
	write(id, "first")

	s.keepCluster(t.Context(), cluster, two)
	require.DirExists(t, one, "somebody may use it")
	require.Equal(t, []string{one}, others(two))
	require.NoError(t, os.Chtimes(one, time.Time{}, time.Now().Add(-2*installTimeout)))
	require.NoError(t, os.RemoveAll(two))
	s.keepCluster(t.Context(), cluster, two)
	require.NoDirExists(t, one)
	kept, err := os.ReadDir(filepath.Join(cache, "clusters"))
	require.NoError(t, err)
	require.Len(t, kept, 1, "and nothing else is left")
	require.FileExists(t, filepath.Join(two, "PG_VERSION"))
}
