package shopifyschema

import (
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
)

// Versions are the stable API versions that Towpath supports, oldest first. A
// version is published each quarter and lives at least twelve months.
func Versions() []string { return []string{"2026-01", "2026-04", "2026-07", "2026-10"} }

// ErrUnavailable says that the schema could be had neither from the cache nor
// from npm: no npm on this machine, or no network.
var ErrUnavailable = errors.New("Shopify's published schema is unavailable") //nolint:staticcheck // a proper name

var (
	mu     sync.Mutex
	loaded = map[string]*ast.Schema{}
)

// Load gives the Admin GraphQL schema of one version, e.g. "2026-10". It is
// fetched once per machine and parsed once per process (about half a second).
// Errors wrap ErrUnavailable when there is nothing to load it from.
func Load(version string) (*ast.Schema, error) {
	mu.Lock()
	defer mu.Unlock()
	if s, ok := loaded[version]; ok {
		return s, nil
	}
	sdl, err := SDL(version)
	if err != nil {
		return nil, err
	}
	schema, err := gqlparser.LoadSchema(&ast.Source{Name: "admin_" + version + ".graphql", Input: sdl})
	if err != nil {
		return nil, fmt.Errorf("parse Shopify schema %s: %w", version, err)
	}
	loaded[version] = schema
	return schema, nil
}

// SDL gives the schema of one version as schema definition language, without
// descriptions.
func SDL(version string) (string, error) {
	dir, err := packageDir()
	if err != nil {
		return "", err
	}
	file, err := os.Open(filepath.Join(dir, "dist", "data", "admin_"+version+".json.gz"))
	if err != nil {
		return "", fmt.Errorf("schema %q of Shopify is not in %s@%s: %w", version, npmPackage, npmVersion, err)
	}
	defer file.Close()
	plain, err := gzip.NewReader(file)
	if err != nil {
		return "", fmt.Errorf("unzip Shopify schema %s: %w", version, err)
	}
	var answer struct {
		Data struct {
			Schema introspection `json:"__schema"`
		} `json:"data"`
	}
	if err := json.NewDecoder(plain).Decode(&answer); err != nil {
		return "", fmt.Errorf("read Shopify schema %s: %w", version, err)
	}
	return answer.Data.Schema.sdl(), nil
}

// T is the part of testing.TB that Require needs.
type T interface {
	Helper()
	Skipf(format string, args ...any)
	Fatalf(format string, args ...any)
}

// Require gives the schema to a test. Where it cannot be had the test is
// skipped, loudly; with TOWPATH_REQUIRE_REAL=1 that is a failure.
func Require(t T, version string) *ast.Schema {
	t.Helper()
	schema, err := Load(version)
	RequireNoError(t, err)
	return schema
}

// RequireNoError fails a test on an error of this package; one that wraps
// ErrUnavailable skips it instead, unless TOWPATH_REQUIRE_REAL=1.
func RequireNoError(t T, err error) {
	t.Helper()
	switch {
	case err == nil:
	case errors.Is(err, ErrUnavailable) && os.Getenv("TOWPATH_REQUIRE_REAL") != "1":
		t.Skipf("SKIPPED, NOT PROVED: %v", err)
	default:
		t.Fatalf("%v", err)
	}
}
