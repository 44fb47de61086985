package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"github.com/moby/patternmatcher"
	"github.com/moby/patternmatcher/ignorefile"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/activities"
	"towpath/api"
	"towpath/connectors"
	"towpath/schema/fault"
	"towpath/schema/record"
	"towpath/schema/store"
)

func TestDockerfileMakesOneSmallImage(t *testing.T) {
	text := strings.ReplaceAll(repositoryFile(t, "Dockerfile"), "\\\n", " ")
	lines := func(instruction string) []string {
		return regexp.MustCompile(`(?m)^`+instruction+`\s.*$`).FindAllString(text, -1)
	}
	from := lines("FROM")
	require.Len(t, from, 2)
	assert.Regexp(t, `^FROM golang:\d+\.\d+\.\d+-\w+ AS build$`, from[0])
	goVersion := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindStringSubmatch(repositoryFile(t, "go.mod"))[1]
	assert.Contains(t, from[0], "golang:"+goVersion+".", "the compiler that go.mod asks for")
	assert.Regexp(t, `^FROM gcr\.io/distroless/static-debian\d+:nonroot$`, from[1])
	_, final, found := strings.Cut(text, from[1])
	require.True(t, found)
	assert.NotContains(t, final, "\nRUN ", "there is no shell")
	assert.NotContains(t, final, "\nADD ")
	assert.Contains(t, final, "COPY --from=build /towpath /towpath\n")

	build := lines("RUN")[1]
	for _, want := range []string{"CGO_ENABLED=0", "-trimpath", "-o /towpath", "./cmd/towpath"} {
		assert.Contains(t, build, want)
	}
	require.Equal(t, []string{"USER 65532:65532"}, lines("USER"))
	assert.Equal(t, "65532:65532", composed(t).Services["api"].User)
	require.Equal(t, []string{`ENTRYPOINT ["/towpath"]`}, lines("ENTRYPOINT"))
	for _, word := range []string{"PASSWORD", "TOWPATH_KEYS", "SECRET", ":latest"} {
		assert.NotContains(t, text, word)
	}
}

// The build sees what .dockerignore lets through: every file that go build
// reads must be among it, and nothing that has no business in an image.
func TestDockerfileSeesWhatItBuilds(t *testing.T) {
	patterns, err := ignorefile.ReadAll(strings.NewReader(repositoryFile(t, ".dockerignore")))
	require.NoError(t, err)
	ignore, err := patternmatcher.New(patterns)
	require.NoError(t, err)
	sees := func(path string) bool {
		t.Helper()
		ignored, err := ignore.MatchesOrParentMatches(path)
		require.NoError(t, err)
		return !ignored
	}
	root, err := filepath.Abs(repository)
	require.NoError(t, err)
	list := exec.Command("go", "list", "-deps", "-f",
		`{{if and .Module (not .Standard)}}{{if .Module.Main}}{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{range .EmbedFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}{{end}}{{end}}`, "./cmd/towpath")
	list.Dir = root
	out, err := list.Output()
	require.NoError(t, err)
	files := strings.Fields(string(out))
	require.Greater(t, len(files), 50)
	for _, f := range files {
		path, err := filepath.Rel(root, f)
		require.NoError(t, err)
		assert.True(t, sees(path), path)
	}
	for _, path := range []string{"go.mod", "go.sum"} {
		assert.True(t, sees(path), path)
	}
	for _, path := range []string{".env", ".git/config", "cmd/.env", "cmd/towpath/main_test.go", "towpath", "bin/towpath",
		".towpath/postgres/data/base/1", "connectors/odoo/rpc/testdata/answers.json", "docker-compose.yml", "schema/x.log"} {
		assert.False(t, sees(path), path)
	}
}

// hookDoor is a shop whose deliveries say themselves what becomes of them.
type hookDoor struct{ connectors.Connector }

func (hookDoor) VerifyHook(h http.Header, _ []byte) error {
	if h.Get("Outcome") == "refused" {
		return fault.New(fault.Unauthorized, "test.refused", "refused")
	}
	return nil
}

func (hookDoor) ParseHook(h http.Header, _ []byte) ([]record.Event, error) {
	switch h.Get("Outcome") {
	case "invalid":
		return nil, fault.New(fault.Invalid, "test.invalid", "invalid")
	case "ignored":
		return nil, nil
	}
	return []record.Event{{Kind: record.KindOrder, ExternalID: h.Get("Outcome")}}, nil
}

type hookWorld struct{}

func (hookWorld) Get(context.Context, string) (connectors.Connector, error) { return hookDoor{}, nil }

func (hookWorld) Accept(_ context.Context, batch []store.Inbound) (int, error) {
	switch batch[0].Event.ExternalID {
	case "unavailable":
		return 0, errors.New("no database")
	case "duplicate":
		return 0, nil
	}
	return 1, nil
}

// metric is what our processes export under one name: values seen by label.
type metric map[string][]string

// exportedMetrics runs the API through every outcome of a webhook and gathers
// what it then exports, with the backlog's numbers and the process's own.
func exportedMetrics(t *testing.T) map[string]metric {
	t.Helper()
	e := api.New(api.Deps{Pool: hookWorld{}, Inbox: hookWorld{}, Log: zerolog.Nop()})
	for _, outcome := range []string{"refused", "invalid", "ignored", "unavailable", "accepted", "duplicate"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/webhooks/shopify/shop", strings.NewReader("{}"))
		r.Header.Set("Outcome", outcome)
		e.ServeHTTP(httptest.NewRecorder(), r)
	}
	families, err := prometheus.DefaultGatherer.Gather()
	require.NoError(t, err)
	all := map[string]metric{}
	for _, f := range families {
		m := metric{}
		for _, sample := range f.Metric {
			for _, l := range sample.Label {
				m[l.GetName()] = append(m[l.GetName()], l.GetValue())
			}
		}
		names := []string{f.GetName()}
		if f.GetType().String() == "HISTOGRAM" {
			m["le"] = nil
			names = []string{f.GetName() + "_bucket", f.GetName() + "_sum", f.GetName() + "_count"}
		}
		for _, n := range names {
			all[n] = m
		}
	}
	descs := make(chan *prometheus.Desc, 100)
	backlog{}.Describe(descs)
	for _, c := range append(activities.Metrics(), callSeconds, callRows, callWaiting) { // whether anything was counted yet or not
		c.Describe(descs)
	}
	close(descs)
	for d := range descs {
		parts := regexp.MustCompile(`fqName: "(\w+)".*variableLabels: \{([^}]*)\}`).FindStringSubmatch(d.String())
		m := metric{}
		for _, label := range strings.FieldsFunc(parts[2], func(r rune) bool { return r == ',' }) {
			m[label] = nil
		}
		names := []string{parts[1]}
		if strings.HasSuffix(parts[1], "_seconds") && !strings.Contains(parts[1], "oldest") && !strings.Contains(parts[1], "p95") && !strings.Contains(parts[1], "mean") && !strings.Contains(parts[1], "behind") {
			m["le"] = nil // a histogram
			names = []string{parts[1] + "_bucket", parts[1] + "_sum", parts[1] + "_count"}
		}
		for _, n := range names {
			all[n] = m
		}
	}
	// Not ours: Prometheus's own and the Temporal server's (its
	// common/metrics/metric_defs.go and tags.go, v1.32.1).
	all["up"] = metric{}
	all["no_poller_tasks"] = metric{"taskqueue": nil}
	return all
}

var (
	grouping = regexp.MustCompile(`\b(?:by|on|without|ignoring)\s*\(([^)]*)\)`)
	selector = regexp.MustCompile(`([a-z_]\w*)\s*\{([^}]*)\}`)
	matcher  = regexp.MustCompile(`(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"`)
	name     = regexp.MustCompile(`(?:^|[^\w\[.])([a-z_]\w*)`)
)

// assertExported checks that an expression uses only metrics, labels and, for
// webhook results, label values that exist.
func assertExported(t *testing.T, exported map[string]metric, where, expr string) {
	t.Helper()
	scraped := []string{"job", "instance"}
	labels := slices.Clone(scraped)
	for _, s := range selector.FindAllStringSubmatch(expr, -1) {
		for _, m := range matcher.FindAllStringSubmatch(s[2], -1) {
			values, ok := exported[s[1]][m[1]]
			assert.True(t, ok || slices.Contains(scraped, m[1]), "%s: %s has no label %s", where, s[1], m[1])
			if m[1] == "result" {
				assert.Subset(t, values, strings.Split(m[3], "|"), where)
			}
			if m[1] == "route" {
				assert.Regexp(t, m[3], "/webhooks/:kind/:connection", where)
			}
		}
	}
	bare := selector.ReplaceAllString(expr, "$1")
	grouped := grouping.FindAllStringSubmatch(bare, -1)
	bare = grouping.ReplaceAllString(bare, " ")
	for _, at := range name.FindAllStringSubmatchIndex(bare, -1) {
		n := bare[at[2]:at[3]]
		isFunction := strings.HasPrefix(strings.TrimSpace(bare[at[3]:]), "(")
		if isFunction || slices.Contains([]string{"and", "or", "unless"}, n) {
			continue
		}
		m, ok := exported[n]
		assert.True(t, ok, "%s: nobody exports %s", where, n)
		for label := range m {
			labels = append(labels, label)
		}
	}
	for _, g := range grouped {
		for _, label := range strings.Split(g[1], ",") {
			assert.Contains(t, labels, strings.TrimSpace(label), where)
		}
	}
}

type alertFile struct {
	Groups []struct {
		Rules []struct {
			Alert, Expr         string
			Labels, Annotations map[string]string
		}
	}
}

func TestDeployAlertsUseWhatIsExported(t *testing.T) {
	exported := exportedMetrics(t)
	var f alertFile
	require.NoError(t, yaml.UnmarshalWithOptions([]byte(repositoryFile(t, "deploy/prometheus/alerts.yml")), &f))
	var used strings.Builder
	for _, g := range f.Groups {
		for _, r := range g.Rules {
			assertExported(t, exported, r.Alert, r.Expr)
			used.WriteString(r.Expr)
			assert.Contains(t, []string{"page", "ticket"}, r.Labels["severity"], r.Alert)
			assert.NotEmpty(t, r.Annotations["summary"], r.Alert)
			assert.NotEmpty(t, r.Annotations["what_to_do"], r.Alert)
			for _, m := range regexp.MustCompile(`towpath ([a-z]+)`).FindAllStringSubmatch(r.Annotations["what_to_do"], -1) {
				cmd, _, err := newRoot().Find([]string{m[1]})
				require.NoError(t, err)
				assert.Equal(t, m[1], cmd.Name(), "%s names a command", r.Alert)
			}
		}
	}
	for _, must := range []string{"towpath_invariant_broken", "towpath_due_oldest_seconds", "towpath_objects_overdue", "towpath_parked_open", `result="unavailable"`, "refused", "no_poller_tasks"} {
		assert.Contains(t, used.String(), must)
	}
}

func TestDeployDashboardUsesWhatIsExported(t *testing.T) {
	exported := exportedMetrics(t)
	var d struct {
		Panels []struct {
			Title, Description string
			Targets            []struct{ Expr, LegendFormat string }
		}
	}
	raw := repositoryFile(t, "deploy/grafana/dashboards/towpath.json")
	require.NoError(t, json.Unmarshal([]byte(raw), &d))
	require.NotEmpty(t, d.Panels)
	for _, p := range d.Panels {
		assert.NotEmpty(t, p.Description, p.Title)
		require.NotEmpty(t, p.Targets, p.Title)
		for _, q := range p.Targets {
			assertExported(t, exported, p.Title, q.Expr)
		}
	}
	for name := range exported { // nothing of our own is left unseen
		if strings.HasPrefix(name, "towpath_") && !strings.HasSuffix(name, "_sum") {
			assert.True(t, strings.Contains(raw, name), "no panel shows %s", name)
		}
	}
}

// Prometheus looks where the processes are.
func TestDeployScrapesTheStack(t *testing.T) {
	var f struct {
		ScrapeConfigs []struct {
			JobName       string                       `yaml:"job_name"`
			StaticConfigs []struct{ Targets []string } `yaml:"static_configs"`
		} `yaml:"scrape_configs"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(repositoryFile(t, "deploy/prometheus/prometheus.yml")), &f))
	p := composed(t)
	listens := map[string]string{"api": "TOWPATH_LISTEN", "worker": "TOWPATH_METRICS_LISTEN", "temporal": "PROMETHEUS_ENDPOINT"}
	var seen []string
	for _, job := range f.ScrapeConfigs {
		service, port, _ := strings.Cut(job.StaticConfigs[0].Targets[0], ":")
		seen = append(seen, job.JobName)
		require.Contains(t, listens, service)
		assert.Equal(t, "0.0.0.0:"+port, *p.Services[service].Environment[listens[service]])
	}
	assert.ElementsMatch(t, []string{"towpath-api", "towpath-worker", "temporal"}, seen)
}

// promtool, where it is installed, judges the rules and plays them.
func TestDeployAlertsSoundWhenTheyShould(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("SKIPPED: promtool is not installed (Debian: apt-get install prometheus); the alert rules are not played")
	}
	for _, args := range [][]string{
		{"check", "rules", "deploy/prometheus/alerts.yml"},
		{"check", "config", "--syntax-only", "deploy/prometheus/prometheus.yml"},
		{"test", "rules", "deploy/prometheus/alerts_test.yml"},
	} {
		cmd := exec.Command(promtool, args...)
		cmd.Dir = repository
		out, err := cmd.CombinedOutput()
		assert.NoError(t, err, "%s", out)
	}
}
