package stack

import (
	"context"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"towpath/schema/fault"
)

// OdooDatabase makes a fresh copy of Odoo's template database in the stack's
// PostgreSQL, without a server on it. One of that name is replaced.
//
// Faults: those of [Stack.Odoo], stack.database (Transient).
func (s *Stack) OdooDatabase(ctx context.Context, db string) error {
	s.odooMu.Lock()
	defer s.odooMu.Unlock()
	tools, pg, err := s.odooTools(ctx)
	if err != nil {
		return err
	}
	if err := pg.DropDB(ctx, db); err != nil {
		return err
	}
	return s.odooDatabase(ctx, tools, pg, db, false)
}

// OdooShell runs a Python script in one process of Odoo on a database made by
// [Stack.OdooDatabase]. Inside, /var/lib/odoo is a folder with the given files;
// its address outside is returned, for the results.
//
// Faults: those of [Stack.Odoo] and of [Process.Start].
func (s *Stack) OdooShell(ctx context.Context, db, script string, files map[string][]byte) (dir string, err error) {
	tools, pg, err := s.odooTools(ctx)
	if err != nil {
		return "", err
	}
	dir = filepath.Join(s.dir, "shell-"+db)
	unusable := func(err error) error {
		return fault.New(fault.Invalid, "stack.dir", "the folder for data and logs cannot be used").
			WithResolution("Choose a folder that can be written.").WithDetail(err.Error()).WithCause(err)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", unusable(err)
	}
	source := filepath.Join(dir, "run.py")
	if err := os.WriteFile(source, []byte(script), 0o644); err != nil {
		return "", unusable(err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
			return "", unusable(err)
		}
	}
	_, err = s.script(ctx, false, ProcessSpec{Name: "odoo-shell-" + strings.ReplaceAll(db, "_", "-"), Path: "bash",
		Args: []string{filepath.Join(tools, "shell.sh"), "--db", db, "--data", dir, "--script", source,
			"--pghost", pg.Host, "--pgport", strconv.Itoa(pg.Port)},
		Env: pgEnv(pg), ReadyTimeout: installTimeout})
	return dir, err
}

// odooTools makes sure that Odoo is installed and PostgreSQL runs.
func (s *Stack) odooTools(ctx context.Context) (tools string, pg *Postgres, err error) {
	root, err := s.repo()
	if err != nil {
		return "", nil, err
	}
	tools = filepath.Join(root, "tools", "odoo19")
	if err := s.odooScript(ctx, tools, nil, "install.sh"); err != nil {
		return "", nil, err
	}
	pg, err = s.Postgres(ctx)
	return tools, pg, err
}
