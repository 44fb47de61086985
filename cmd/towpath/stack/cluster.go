package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"towpath/schema/fault"
)

// A cluster is copied from one that was made before, where there is one: that
// takes a tenth of the processor's time of initdb, and less of what it takes to
// fill Odoo's template with its 500 tables. Copies are kept in the cache, and
// never started there.

// newCluster makes the files of a cluster under another name first, so that
// being killed here leaves no half one.
func (s *Stack) newCluster(ctx context.Context, bin, home, data string, user *account) error {
	fresh := data + ".new"
	for _, kept := range []string{s.keptCluster(bin, user, s.opts.Odoo), s.keptCluster(bin, user, false)} {
		if err := os.RemoveAll(fresh); err != nil {
			return user.unusable(fresh, err)
		}
		if _, err := os.Stat(kept); err != nil || s.copyTree(ctx, kept, fresh) != nil {
			continue // it may be gone meanwhile: another is made
		}
		return s.takeCluster(fresh, data, user)
	}
	if err := os.RemoveAll(fresh); err != nil {
		return user.unusable(fresh, err)
	}
	if err := s.initdb(ctx, bin, home, fresh, user); err != nil {
		return err
	}
	s.keepCluster(ctx, fresh, s.keptCluster(bin, user, false))
	return s.takeCluster(fresh, data, user)
}

func (s *Stack) takeCluster(fresh, data string, user *account) error {
	if err := os.Rename(fresh, data); err != nil {
		return user.unusable(data, err)
	}
	return nil
}

// keptCluster is where a cluster is kept for these programs and this user, and,
// when asked for, with the Odoo template of now; "" where none can be.
func (s *Stack) keptCluster(bin string, user *account, odoo bool) string {
	cache, err := cacheDir()
	if err != nil {
		return ""
	}
	program, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil {
		return ""
	}
	what, template := "plain", []byte(nil)
	if odoo {
		if template, err = os.ReadFile(filepath.Join(cache, "odoo19", "template", "id")); err != nil {
			return ""
		}
		what = "odoo"
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %v %v %s %s", bin, program.Size(), program.ModTime(), user, ctype, template))
	return filepath.Join(cache, "clusters", what+"-"+hex.EncodeToString(sum[:8]))
}

// keepCluster puts a copy of a cluster that does not run into the cache, in the
// place of older ones of its kind. Without it all goes on, but slower.
func (s *Stack) keepCluster(ctx context.Context, data, kept string) {
	if kept == "" || os.MkdirAll(filepath.Dir(kept), 0o755) != nil {
		return
	}
	kind, _, _ := strings.Cut(filepath.Base(kept), "-")
	old, _ := filepath.Glob(filepath.Join(filepath.Dir(kept), kind+"-*"))
	half := fmt.Sprintf("%s.%d", kept, time.Now().UnixNano())
	if s.copyTree(ctx, data, half) != nil || os.Rename(half, kept) != nil { // or somebody else was faster
		_ = os.RemoveAll(half)
		return
	}
	for _, dir := range old {
		if st, err := os.Stat(dir); err == nil && dir != kept && time.Since(st.ModTime()) > installTimeout {
			_ = os.RemoveAll(dir)
		}
	}
}

// keepOdooCluster makes a cluster with Odoo's template, once, in a stack of its
// own, since a cluster that runs cannot be copied.
func (s *Stack) keepOdooCluster(ctx context.Context, tools string) error {
	bin, err := s.postgresPrograms(ctx)
	if err != nil {
		return err
	}
	user, err := unprivileged()
	if err != nil {
		return err
	}
	kept := s.keptCluster(bin, user, true)
	if kept == "" {
		return nil
	}
	if _, err := os.Stat(kept); err == nil {
		return nil
	}
	other, err := New(Options{Repo: s.opts.Repo})
	if err != nil {
		return err
	}
	defer func() { _ = other.Close() }()
	pg, err := other.Postgres(ctx)
	if err != nil {
		return err
	}
	if err := other.odooTemplate(ctx, tools, pg); err != nil {
		return err
	}
	if err := pg.Stop(); err != nil {
		return err
	}
	s.keepCluster(ctx, filepath.Join(other.dir, "postgres", "data"), kept)
	return nil
}

// copyTree copies a folder with owners and modes.
func (s *Stack) copyTree(ctx context.Context, from, to string) error {
	_, err := s.script(ctx, false, ProcessSpec{Name: "copy", Path: "cp", Args: []string{"-a", from, to}})
	if err != nil {
		return errors.Join(err, os.RemoveAll(to))
	}
	return nil
}

// cacheDir is where the scripts of tools/ keep what they made, too.
func cacheDir() (string, error) {
	if cache := os.Getenv("TOWPATH_CACHE"); cache != "" {
		return cache, nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", fault.New(fault.Invalid, "stack.no_cache", "there is no home folder").
			WithResolution("Set HOME or TOWPATH_CACHE.").WithCause(err)
	}
	return filepath.Join(home, ".cache", "towpath"), nil
}
