package shopifyschema

import (
	"archive/tar"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

const (
	npmPackage = "@shopify/dev-mcp"
	npmVersion = "1.16.0"
)

// packageDir gives the unpacked package that holds the schemas.
func packageDir() (string, error) {
	return FetchPackage(npmPackage, npmVersion, func(path string) bool {
		return strings.HasPrefix(path, "dist/data/admin_")
	})
}

// FetchPackage gives the folder of an npm package's files in Towpath's cache
// and downloads it with `npm pack` when it is not there. keep chooses files by
// their path inside the package; nil keeps all. Processes that fetch at once do
// no harm: the first rename stays, the others throw theirs away.
func FetchPackage(name, version string, keep func(path string) bool) (string, error) {
	root, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-")+"-"+version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w: npm is not installed", ErrUnavailable)
	}
	work, err := os.MkdirTemp(root, "fetch-")
	if err != nil {
		return "", fmt.Errorf("make a folder in the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := runNPM(npm, work, "pack", name+"@"+version, "--silent", "--ignore-scripts"); err != nil {
		return "", err
	}
	unpacked := filepath.Join(work, "package")
	if err := unpackOnly(work, unpacked, keep); err != nil {
		return "", err
	}
	return dir, adopt(unpacked, dir)
}

// CacheDir is ${TOWPATH_CACHE:-$HOME/.cache/towpath}/shopify-schema, made when
// it is missing.
func CacheDir() (string, error) {
	base := os.Getenv("TOWPATH_CACHE")
	if base == "" {
		home, err := os.UserHomeDir()
		if err != nil {
			return "", fmt.Errorf("find the home folder: %w", err)
		}
		base = filepath.Join(home, ".cache", "towpath")
	}
	dir := filepath.Join(base, "shopify-schema")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make the cache folder: %w", err)
	}
	return dir, nil
}

func runNPM(npm, dir string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: npm %s %s: %w: %s", ErrUnavailable, args[0], args[1], err, out)
	}
	return nil
}

// unpackOnly unpacks the chosen regular files of the single tarball in dir.
func unpackOnly(dir, into string, keep func(string) bool) error {
	tarballs, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(tarballs) != 1 {
		return fmt.Errorf("npm pack left %d tarballs, want 1", len(tarballs))
	}
	file, err := os.Open(tarballs[0])
	if err != nil {
		return err
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	for archive := tar.NewReader(plain); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		path := strings.TrimPrefix(header.Name, "package/")
		if header.Typeflag != tar.TypeReg || !filepath.IsLocal(path) || (keep != nil && !keep(path)) {
			continue
		}
		if err := writeFile(filepath.Join(into, path), archive); err != nil {
			return err
		}
	}
}

func writeFile(path string, content io.Reader) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if _, err := io.Copy(file, content); err != nil {
		file.Close()
		return err
	}
	return file.Close()
}

// InstallPackage gives a folder of Towpath's cache in whose node_modules an npm
// package and what it needs are installed. No install script of theirs is run.
func InstallPackage(name, version string) (string, error) {
	root, err := CacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(root, "node-"+strings.ReplaceAll(strings.TrimPrefix(name, "@"), "/", "-")+"-"+version)
	if _, err := os.Stat(dir); err == nil {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("%w: npm is not installed", ErrUnavailable)
	}
	work, err := os.MkdirTemp(root, "install-")
	if err != nil {
		return "", fmt.Errorf("make a folder in the cache: %w", err)
	}
	defer func() { _ = os.RemoveAll(work) }()
	if err := os.WriteFile(filepath.Join(work, "package.json"), []byte(`{"private":true}`), 0o644); err != nil {
		return "", err
	}
	if err := runNPM(npm, work, "install", name+"@"+version, "--silent", "--ignore-scripts", "--no-audit", "--no-fund"); err != nil {
		return "", err
	}
	return dir, adopt(work, dir)
}

// adopt moves a finished folder to its place in the cache, unless another
// process was faster.
func adopt(made, dir string) error {
	err := os.Rename(made, dir)
	if _, there := os.Stat(dir); there == nil {
		return nil
	}
	return fmt.Errorf("move into the cache: %w", err)
}
