package stack

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"

	"towpath/schema/fault"
)

// ctype knows upper and lower case of all letters, where the system has it.
var ctype = map[bool]string{true: "C.UTF-8", false: "C"}[runtime.GOOS == "linux"]

// debianPrograms is where Debian and Ubuntu keep each major version.
const debianPrograms = "/usr/lib/postgresql"

// postgresPrograms is the folder with initdb and postgres.
func (s *Stack) postgresPrograms(ctx context.Context) (string, error) {
	if dir, ok := findPostgres(debianPrograms); ok {
		return dir, nil
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil || os.Geteuid() != 0 {
		return "", fault.New(fault.Unsupported, "stack.no_postgres", "PostgreSQL is not installed on this machine").
			WithResolution(`Install it (Debian, Ubuntu: "apt-get install postgresql"; macOS: "brew install postgresql") so that "initdb" is found in PATH or %s.`, debianPrograms)
	}
	s.say("installing PostgreSQL (Debian package, once)")
	if err := s.installPostgres(ctx, apt); err != nil {
		return "", err
	}
	if dir, ok := findPostgres(debianPrograms); ok {
		return dir, nil
	}
	return "", fault.New(fault.Unsupported, "stack.no_postgres", "the package postgresql brought no programs").
		WithResolution("Look at %s.", filepath.Join(s.dir, "apt-get.log"))
}

// findPostgres prefers the newest major version under root to that in PATH,
// whose initdb may be a wrapper.
func findPostgres(root string) (dir string, ok bool) {
	versions, _ := filepath.Glob(filepath.Join(root, "*", "bin", "initdb"))
	slices.SortFunc(versions, func(a, b string) int { return major(a) - major(b) })
	if n := len(versions); n > 0 {
		return filepath.Dir(versions[n-1]), true
	}
	initdb, err := exec.LookPath("initdb")
	if err != nil {
		return "", false
	}
	if real, err := filepath.EvalSymlinks(initdb); err == nil {
		initdb = real
	}
	dir = filepath.Dir(initdb)
	_, err = os.Stat(filepath.Join(dir, "postgres"))
	return dir, err == nil
}

// major is N of ROOT/N/bin/initdb.
func major(initdb string) int {
	n, _ := strconv.Atoi(filepath.Base(filepath.Dir(filepath.Dir(initdb))))
	return n
}

// installPostgres installs the programs only: the package must not start a
// server of its own.
func (s *Stack) installPostgres(ctx context.Context, apt string) error {
	run := func(args ...string) error {
		_, err := s.script(ctx, false, ProcessSpec{Name: "apt-get", Path: apt,
			Args: append([]string{"-q", "-o", "DPkg::Lock::Timeout=300"}, args...),
			Env:  []string{"DEBIAN_FRONTEND=noninteractive"}, ReadyTimeout: installTimeout})
		return err
	}
	const noCluster = "/etc/postgresql-common/createcluster.d/towpath.conf"
	if err := errors.Join(
		run("update"),
		run("install", "-y", "--no-install-recommends", "postgresql-common"),
		os.MkdirAll(filepath.Dir(noCluster), 0o755),
		os.WriteFile(noCluster, []byte("create_main_cluster = false\n"), 0o644),
	); err != nil {
		return err
	}
	defer func() { _ = os.Remove(noCluster) }()
	return run("install", "-y", "--no-install-recommends", "postgresql")
}

// account is a user that programs run as instead of root.
type account struct {
	name     string
	uid, gid uint32
}

// unprivileged is whom PostgreSQL runs as: nil, ourselves, when we are not root.
func unprivileged() (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, err1 := strconv.ParseUint(u.Uid, 10, 32)
		gid, err2 := strconv.ParseUint(u.Gid, 10, 32)
		if err1 == nil && err2 == nil && uid != 0 {
			return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
		}
	}
	return nil, fault.New(fault.Unsupported, "stack.no_user", "PostgreSQL refuses to run as root, and there is no user postgres or nobody").
		WithResolution("Run as an ordinary user, or make one of these users.")
}

// makeDir makes a folder for the account alone, and checks that the account
// can get to it.
func (a *account) makeDir(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return a.unusable(dir, err)
	}
	if a == nil {
		return nil
	}
	if err := os.Chown(dir, int(a.uid), int(a.gid)); err != nil {
		return a.unusable(dir, err)
	}
	for up := filepath.Dir(dir); ; up = filepath.Dir(up) {
		st, err := os.Stat(up)
		if err != nil {
			return a.unusable(dir, err)
		}
		if st.Mode().Perm()&0o001 == 0 {
			return a.unusable(dir, errors.New(up+" is closed to others"))
		}
		if up == filepath.Dir(up) {
			return nil
		}
	}
}

func (a *account) unusable(dir string, cause error) error {
	who := "we"
	if a != nil {
		who = "user " + a.name
	}
	return fault.New(fault.Invalid, "stack.dir", "%s cannot use the folder %s", who, dir).
		WithResolution("Choose a folder that every user can reach, such as one in %s.", strings.TrimRight(os.TempDir(), "/")).
		WithDetail(cause.Error()).WithCause(cause)
}
