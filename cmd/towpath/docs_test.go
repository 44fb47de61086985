package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// These tests keep the docs true: what can be generated is generated (docs_gen_test.go,
// docs_faults_test.go), and what is written by hand may only name commands,
// files, tests, metrics and variables that exist.

var update = flag.Bool("update", false, "write the generated sections of the docs anew")

// pages are the hand-written documents, from the repository's root.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(repository, "docs", "*.md"))
	require.NoError(t, err)
	all := []string{"README.md", "deploy/README.md"}
	for _, f := range found {
		all = append(all, "docs/"+filepath.Base(f))
	}
	require.GreaterOrEqual(t, len(all), 7)
	return all
}

func TestDocsGeneratedSectionsAreFresh(t *testing.T) {
	makers := generators(t)
	used := map[string]bool{}
	for _, page := range pages(t) {
		was := repositoryFile(t, page)
		is, err := refreshed(was, makers, used)
		require.NoError(t, err, page)
		if was == is {
			continue
		}
		if *update {
			require.NoError(t, os.WriteFile(filepath.Join(repository, page), []byte(is), 0o644))
			continue
		}
		assert.Equal(t, was, is, "%s is stale: go test ./cmd/towpath -run TestDocsGenerated -update", page)
	}
	for name := range makers {
		assert.True(t, used[name], "no page has the section %q", name)
	}
}

var section = regexp.MustCompile(`(?s)<!-- generated: ([a-z-]+) -->\n.*?<!-- end -->`)

// refreshed writes a page's generated sections anew.
func refreshed(page string, makers map[string]func() string, used map[string]bool) (string, error) {
	var wrong error
	out := section.ReplaceAllStringFunc(page, func(old string) string {
		name := section.FindStringSubmatch(old)[1]
		render, ok := makers[name]
		if !ok {
			wrong = fmt.Errorf("nothing generates the section %q", name)
			return old
		}
		used[name] = true
		return "<!-- generated: " + name + " -->\n" + strings.TrimSpace(render()) + "\n<!-- end -->"
	})
	if strings.Count(page, "<!-- generated:") != len(section.FindAllString(page, -1)) {
		wrong = fmt.Errorf("a generated section has no <!-- end -->")
	}
	return out, wrong
}

var fence = regexp.MustCompile("(?ms)^( *)```([a-z]*)(|\n.*?)\n *```$")

// commandLines are the towpath commands that a page shows: lines of its code
// blocks, and `towpath …` in the text.
func commandLines(page string) (lines []string) {
	add := func(line string) {
		line = strings.TrimPrefix(strings.TrimSpace(line), "$ ")
		line, _, _ = strings.Cut(line, " #")
		line = strings.TrimPrefix(line, "docker compose run --rm ")
		if strings.HasPrefix(line, "towpath ") || strings.HasPrefix(line, "bin/towpath ") {
			lines = append(lines, line)
		}
	}
	for _, block := range fence.FindAllStringSubmatch(page, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[3], "\\\n", " ")) {
			for _, part := range strings.Split(line, " | ") {
				add(part)
			}
		}
	}
	for _, m := range quoted.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		add(m[1])
	}
	return lines
}

var quoted = regexp.MustCompile("`([^`\n]+)`")

func TestDocsCommandsExist(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		for _, line := range commandLines(repositoryFile(t, page)) {
			checked++
			assert.NoError(t, parses(line), "%s: %s", page, line)
		}
	}
	assert.Greater(t, checked, 20)
}

func TestDocsCommandsAreJudged(t *testing.T) {
	for line, good := range map[string]bool{
		"towpath demo --keep":                             true,
		"towpath dev --only postgres -- go test -v ./...": true,
		"towpath connection check NAME":                   true,
		"towpath explode":                                 false,
		"towpath demo --kep":                              false,
		"towpath connection burn NAME":                    false,
		"towpath explain order/a/1 order/a/2":             false,
	} {
		if good {
			assert.NoError(t, parses(line), line)
		} else {
			assert.Error(t, parses(line), line)
		}
	}
}

// parses says whether a command line is one that the program would run.
func parses(line string) error {
	words := shellWords(line)
	cmd, rest, err := newRoot().Find(words[1:])
	if err != nil {
		return err
	}
	if cmd.HasSubCommands() {
		if len(rest) > 0 && !strings.HasPrefix(rest[0], "-") {
			return fmt.Errorf("%s has no command %s", cmd.CommandPath(), rest[0])
		}
		return nil
	}
	if len(rest) == 0 && len(words) == strings.Count(cmd.CommandPath(), " ")+1 {
		return nil // the command is only named
	}
	flags := pflag.NewFlagSet(cmd.Name(), pflag.ContinueOnError)
	flags.AddFlagSet(cmd.Flags())
	flags.BoolP("help", "h", false, "")
	if err := flags.Parse(rest); err != nil {
		return err
	}
	return arguments(cmd, flags.Args())
}

func arguments(cmd *cobra.Command, args []string) error {
	if cmd.Args == nil || slices.Contains(args, "…") {
		return nil
	}
	return cmd.Args(cmd, args)
}

// shellWords splits as a shell does, as far as the docs need it.
func shellWords(line string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`'[^']*'|"[^"]*"|[^\s'"]+`).FindAllString(line, -1) {
		words = append(words, strings.Trim(m, `'"`))
	}
	for i, w := range words {
		if w == "<" || w == ">" || w == "&&" || w == "&" {
			return words[:i]
		}
	}
	return words
}

var link = regexp.MustCompile(`\]\(([^)\s]+)\)`)

func TestDocsLinksLeadSomewhere(t *testing.T) {
	for _, page := range pages(t) {
		text := repositoryFile(t, page)
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := page
			if target != "" {
				to = path.Join(path.Dir(page), target)
			}
			if _, err := os.Stat(filepath.Join(repository, to)); !assert.NoError(t, err, "%s links to %s", page, m[1]) || anchor == "" {
				continue
			}
			assert.Contains(t, anchors(repositoryFile(t, to)), anchor, "%s links to %s", page, m[1])
		}
	}
}

var heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)

// anchors are the ids that a page's headings get.
func anchors(page string) (all []string) {
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(page, ""), -1) {
		kept := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(m[1]), "")
		all = append(all, strings.ReplaceAll(strings.TrimSpace(kept), " ", "-"))
	}
	return all
}

// A quoted word is taken for a path when it begins like one of the house's
// folders or is a file of its top level.
var looksLikePath = regexp.MustCompile(`^(schema|connectors|activities|workflows|worker|api|cmd|tools|deploy|docs|\.ci)(/[\w.*{},-]+)*/?$|^[\w-]+\.(md|yml|yaml|mod)$|^(Makefile|Dockerfile)$`)

// Made by whoever runs Towpath, or a name in general.
var notOurs = []string{"towpath.yaml", "doc.go", "config.go"}

func TestDocsNamePathsThatExist(t *testing.T) {
	checked := 0
	for _, page := range pages(t) {
		written := section.ReplaceAllString(fence.ReplaceAllString(repositoryFile(t, page), ""), "")
		for _, m := range quoted.FindAllStringSubmatch(written, -1) {
			name := m[1]
			if !looksLikePath.MatchString(name) || slices.Contains(notOurs, name) {
				continue
			}
			checked++
			found, err := filepath.Glob(filepath.Join(repository, name))
			require.NoError(t, err)
			beside, _ := filepath.Glob(filepath.Join(repository, path.Dir(page), name))
			assert.NotEmpty(t, append(found, beside...), "%s names %s", page, name)
		}
	}
	assert.Greater(t, checked, 30)
}

func TestDocsExampleFileIsGood(t *testing.T) {
	raw := []byte(repositoryFile(t, "docs/towpath.example.yaml"))
	f, err := parseFile(raw, func(name string) (string, bool) { return "dummy-" + strings.ToLower(name), true })
	require.NoError(t, err)
	assert.NotEmpty(t, f.Connections)
	assert.NotEmpty(t, f.Orders)
	_, err = parseFile(raw, func(string) (string, bool) { return "", false })
	require.Error(t, err, "its secrets come from the environment")
}

var (
	testName   = regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`)
	metricName = regexp.MustCompile(`\btowpath_[a-z_]+[a-z]\b`)
	envName    = regexp.MustCompile(`\bTOWPATH_[A-Z_]+[A-Z]\b`)
)

// TestDocsNameWhatExists: tests, metrics and variables, looked for in the source.
func TestDocsNameWhatExists(t *testing.T) {
	var tests, program strings.Builder
	for _, file := range sources(t) {
		raw := repositoryFile(t, file)
		if strings.HasSuffix(file, "_test.go") {
			tests.WriteString(raw)
		} else {
			program.WriteString(raw)
		}
	}
	// A name may be the beginning of several, as in TestDeploy….
	for _, page := range pages(t) {
		text := repositoryFile(t, page)
		for _, name := range testName.FindAllString(text, -1) {
			assert.True(t, strings.Contains(tests.String(), "func "+name), "%s names the test %s", page, name)
		}
		for _, name := range metricName.FindAllString(text, -1) {
			assert.True(t, strings.Contains(program.String(), `"`+name), "%s names the metric %s", page, name)
		}
		for _, name := range envName.FindAllString(text, -1) {
			assert.True(t, strings.Contains(program.String(), name), "%s names the variable %s", page, name)
		}
	}
}

// sources are the Go and shell files that git knows or may come to know.
func sources(t *testing.T) []string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", "ls-files", "-co", "--exclude-standard", "*.go", "*.sh", "docker-compose.yml", "deploy/*")
	cmd.Dir = root(t)
	out, err := cmd.Output()
	if err != nil {
		t.Skip("not a git work tree: sources cannot be told from leavings")
	}
	var files []string
	for file := range strings.Lines(string(out)) {
		file = strings.TrimSpace(file)
		if _, err := os.Stat(filepath.Join(repository, file)); err == nil {
			files = append(files, file)
		}
	}
	return files
}
