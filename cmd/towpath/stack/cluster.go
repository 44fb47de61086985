package stack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"towpath/schema/fault"
)

// A cluster is copied from one that was made before, where there is one: that
// takes a tenth of the processor's time of initdb, and less of what it takes to
// fill Odoo's template with its 500 tables, or to install the module in another.
// Copies are kept in the cache, and never started there.

// newCluster makes the files of a cluster under another name first, so that
// being killed here leaves no half one.
func (s *Stack) newCluster(ctx context.Context, bin, home, data string, user *account) error {
	fresh := data + ".new"
	plain := keptCluster("plain", bin, user)
	var candidates []string
	if s.opts.Odoo {
		kept := s.keptOdooCluster(bin, user)
		candidates = append([]string{kept}, others(kept)...)
	}
	for _, kept := range append(candidates, plain) {
		if err := os.RemoveAll(fresh); err != nil {
			return user.unusable(fresh, err)
		}
		if _, err := os.Stat(kept); err != nil || s.copyTree(ctx, kept, fresh) != nil {
			continue // it may be gone meanwhile: another is made
		}
		_ = os.Chtimes(kept, time.Time{}, time.Now()) // it is of use
		return s.takeCluster(fresh, data, user)
	}
	if err := os.RemoveAll(fresh); err != nil {
		return user.unusable(fresh, err)
	}
	if err := s.initdb(ctx, bin, home, fresh, user); err != nil {
		return err
	}
	s.keepCluster(ctx, fresh, plain)
	return s.takeCluster(fresh, data, user)
}

func (s *Stack) takeCluster(fresh, data string, user *account) error {
	if err := os.Rename(fresh, data); err != nil {
		return user.unusable(data, err)
	}
	return nil
}

// keptCluster is where a cluster of some kind is kept for these programs and
// this user; "" where none can be.
func keptCluster(kind, bin string, user *account, of ...[]byte) string {
	cache, err := cacheDir()
	if err != nil {
		return ""
	}
	program, err := os.Stat(filepath.Join(bin, "postgres"))
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %d %v %v %s %s", bin, program.Size(), program.ModTime(), user, ctype, of))
	return filepath.Join(cache, "clusters", kind+"-"+hex.EncodeToString(sum[:8]))
}

// keptOdooCluster is where the one with all of Odoo's templates of now is kept.
// After its dash it says which module is in there: the templates of another
// module are of use, too, since outbox.sh makes only that one anew.
func (s *Stack) keptOdooCluster(bin string, user *account) string {
	cache, err1 := cacheDir()
	root, err2 := s.repo()
	if err1 != nil || err2 != nil {
		return ""
	}
	template, err1 := os.ReadFile(filepath.Join(cache, "odoo19", "template", "id"))
	module, err2 := treeSum(filepath.Join(root, "odoo_addons", "towpath_outbox"))
	if err1 != nil || err2 != nil {
		return ""
	}
	if kept := keptCluster("odoo", bin, user, template); kept != "" {
		return kept + "-" + module
	}
	return ""
}

// others are the kept clusters that differ in what comes after the last dash.
func others(kept string) (found []string) {
	if kept == "" {
		return nil
	}
	all, _ := filepath.Glob(kept[:strings.LastIndexByte(kept, '-')] + "-????????????????")
	return slices.DeleteFunc(all, func(dir string) bool { return dir == kept })
}

// treeSum names the content of a module, but for its tests and what Python keeps
// beside it.
func treeSum(dir string) (string, error) {
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() && d.Name() == "tests" {
			return filepath.SkipDir
		}
		if err != nil || d.IsDir() || filepath.Ext(path) == ".pyc" {
			return err
		}
		text, err := os.ReadFile(path)
		fmt.Fprintf(h, "%s %d\n%s", strings.TrimPrefix(path, dir), len(text), text)
		return err
	})
	return hex.EncodeToString(h.Sum(nil)[:8]), err
}

// keepCluster puts a copy of a cluster that does not run into the cache, in the
// place of those of its kind that nobody used of late. Without it all goes on,
// but slower.
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
			// Under another name first: who copies it this moment must fail, and not
			// find fewer files than there were.
			gone := fmt.Sprintf("%s.%d", dir, time.Now().UnixNano())
			if os.Rename(dir, gone) == nil {
				_ = os.RemoveAll(gone)
			}
		}
	}
}

// keepOdooCluster makes a cluster with Odoo's templates, once, in a stack of its
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
	kept := s.keptOdooCluster(bin, user)
	if kept == "" {
		return nil
	}
	if _, err := os.Stat(kept); err == nil {
		return nil
	}
	other, err := New(Options{Repo: s.opts.Repo, Odoo: true})
	if err != nil {
		return err
	}
	defer func() { _ = other.Close() }()
	pg, err := other.Postgres(ctx)
	if err != nil {
		return err
	}
	for _, script := range []string{"template.sh", "outbox.sh", "bare.sh"} {
		if err := other.odooScript(ctx, tools, pgEnv(pg), script, pg.Host, strconv.Itoa(pg.Port)); err != nil {
			return err
		}
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
