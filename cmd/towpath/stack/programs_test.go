//go:build linux

package stack

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"towpath/schema/fault"
)

func program(t *testing.T, path string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755))
}

func TestTheNewestPostgresIsFound(t *testing.T) {
	root, path := t.TempDir(), t.TempDir()
	t.Setenv("PATH", path)
	_, ok := findPostgres(root)
	require.False(t, ok)

	program(t, filepath.Join(path, "initdb"))
	_, ok = findPostgres(root)
	require.False(t, ok, "client programs alone are not enough")
	program(t, filepath.Join(path, "postgres"))
	dir, ok := findPostgres(root)
	require.True(t, ok)
	require.Equal(t, path, dir)

	for _, version := range []string{"9", "17", "15"} {
		program(t, filepath.Join(root, version, "bin", "initdb"))
	}
	dir, ok = findPostgres(root)
	require.True(t, ok)
	require.Equal(t, filepath.Join(root, "17", "bin"), dir)
}

func TestAFolderThatPostgresCannotReachIsRefusedWithAdvice(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: only root runs PostgreSQL as another user")
	}
	closed := filepath.Join(t.TempDir(), "closed")
	require.NoError(t, os.Mkdir(closed, 0o700))
	_, err := newStack(t, Options{Dir: filepath.Join(closed, "mine")}).Postgres(t.Context())
	require.Equal(t, "stack.dir", fault.Of(err).Code)
	require.Contains(t, fault.Of(err).Resolution, os.TempDir())
}

func TestTheSourceTreeIsFoundUpwards(t *testing.T) {
	s := newStack(t, Options{})
	root, err := s.repo()
	require.NoError(t, err)
	require.FileExists(t, filepath.Join(root, "go.mod"))

	t.Chdir(t.TempDir())
	_, err = s.repo()
	require.True(t, fault.Is(err, fault.Unsupported))
	given, err := newStack(t, Options{Repo: root}).repo()
	require.NoError(t, err)
	require.Equal(t, root, given)
	_, err = newStack(t, Options{Repo: t.TempDir()}).repo()
	require.Equal(t, "stack.no_source", fault.Of(err).Code)
}

// A machine that cannot run Odoo says so with exit code 3 of the scripts.
func TestAMachineWithoutOdooIsUnsupported(t *testing.T) {
	repo := t.TempDir()
	program(t, filepath.Join(repo, "tools", "temporal-dev", "build.sh"))
	install := filepath.Join(repo, "tools", "odoo19", "install.sh")
	program(t, install)
	require.NoError(t, os.WriteFile(install, []byte("echo 'odoo19: needs root' >&2; exit 3"), 0o755))
	s := newStack(t, Options{Repo: repo})
	_, err := s.Odoo(context.Background(), OdooOptions{})
	require.True(t, fault.Is(err, fault.Unsupported))
	require.Contains(t, fault.Of(err).Resolution, "odoo19: needs root")
	_, err = s.Odoo(context.Background(), OdooOptions{DB: "No-Way"})
	require.Equal(t, "stack.odoo_options", fault.Of(err).Code)
}
