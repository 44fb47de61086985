package main

import (
	"context"
	"maps"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"github.com/goccy/go-yaml"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"towpath/schema/config"
)

// No container engine runs where Towpath is made, so these tests hold the
// compose files against everything that can be known without one: the Compose
// reference library, the program's own commands and variables, the contract.

const repository = "../.."

func repositoryFile(t *testing.T, path string) string {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(repository, path))
	require.NoError(t, err)
	return string(raw)
}

// exampleEnv is deploy/example.env with what it leaves empty filled in as it
// asks for.
func exampleEnv(t *testing.T) map[string]string {
	t.Helper()
	env, err := dotenv.UnmarshalBytesWithLookup([]byte(repositoryFile(t, "deploy/example.env")), nil)
	require.NoError(t, err)
	require.NotEmpty(t, env)
	for name, value := range env {
		require.Empty(t, value, "%s: an example file holds no values that could be taken for real ones", name)
		env[name] = "1f0ad9" + strings.ToLower(strings.ReplaceAll(name, "_", ""))
	}
	env["TOWPATH_KEYS"] = "k1:" + strings.Repeat("0a", 32)
	env["TOWPATH_PUBLIC_URL"] = "https://hooks.example.com"
	return env
}

func loadCompose(t *testing.T, env map[string]string, files ...string) (*types.Project, error) {
	t.Helper()
	root, err := filepath.Abs(repository)
	require.NoError(t, err)
	details := types.ConfigDetails{WorkingDir: root, Environment: env}
	for _, f := range files {
		details.ConfigFiles = append(details.ConfigFiles, types.ConfigFile{Filename: filepath.Join(root, f)})
	}
	return loader.LoadWithContext(context.Background(), details, loader.WithProfiles([]string{"*"}))
}

// composed is the whole stack, tools and monitoring included.
func composed(t *testing.T) *types.Project {
	t.Helper()
	p, err := loadCompose(t, exampleEnv(t), "docker-compose.yml", "deploy/monitoring.yml")
	require.NoError(t, err)
	return p
}

// eachService runs check for every service, or for Towpath's own.
func eachService(t *testing.T, ours bool, check func(t *testing.T, s types.ServiceConfig)) {
	p := composed(t)
	n := 0
	for _, name := range slices.Sorted(maps.Keys(p.Services)) {
		if s := p.Services[name]; !ours || s.Build != nil {
			n++
			t.Run(name, func(t *testing.T) { check(t, s) })
		}
	}
	require.Positive(t, n)
}

func TestComposeHasTheWholeStack(t *testing.T) {
	p, err := loadCompose(t, exampleEnv(t), "docker-compose.yml")
	require.NoError(t, err)
	for _, name := range []string{"postgres", "temporal-schema", "temporal", "temporal-namespace", "temporal-ui", "migrate", "api", "worker", "odoo-postgres", "odoo"} {
		s, ok := p.Services[name]
		assert.True(t, ok, "service %s", name)
		assert.Empty(t, s.Profiles, "%s starts without being asked for", name)
	}
}

func TestComposeAsksForEverySecret(t *testing.T) {
	files := []string{"docker-compose.yml", "deploy/monitoring.yml"}
	for name := range exampleEnv(t) {
		t.Run(name, func(t *testing.T) {
			env := exampleEnv(t)
			delete(env, name)
			_, err := loadCompose(t, env, files...)
			if name == "TOWPATH_PUBLIC_URL" {
				require.NoError(t, err, "may be left empty")
				return
			}
			require.ErrorContains(t, err, name)
			assert.ErrorContains(t, err, "is not set", "says what is wrong")
			env[name] = ""
			_, err = loadCompose(t, env, files...)
			require.ErrorContains(t, err, name, "empty is as good as missing")
		})
	}
}

// Interpolation is all that the files take from outside: what they name is in
// the example, be it as a comment.
func TestComposeVariablesAreInTheExample(t *testing.T) {
	example := repositoryFile(t, "deploy/example.env")
	reference := regexp.MustCompile(`[^$]\$\{([A-Z_]+)`)
	for _, f := range []string{"docker-compose.yml", "deploy/monitoring.yml"} {
		for _, m := range reference.FindAllStringSubmatch(repositoryFile(t, f), -1) {
			if m[1] == "TOWPATH_TAG" { // the image's name, for registries only
				continue
			}
			assert.Regexp(t, `(?m)^#?`+m[1]+`=`, example, "%s of %s", m[1], f)
		}
	}
}

func TestComposeWaitsForWhatCanBeWaitedFor(t *testing.T) {
	p := composed(t)
	eachService(t, false, func(t *testing.T, s types.ServiceConfig) {
		for name, d := range s.DependsOn {
			target, ok := p.Services[name]
			require.True(t, ok, "%s does not exist", name)
			assert.Subset(t, append(s.Profiles, ""), append(target.Profiles, ""), "%s is there whenever %s is", name, s.Name)
			oneShot := strings.HasPrefix(target.Restart, "on-failure")
			switch d.Condition {
			case types.ServiceConditionHealthy:
				require.NotNil(t, target.HealthCheck, "%s has no health check", name)
				assert.False(t, oneShot, "%s ends: wait for its success", name)
			case types.ServiceConditionCompletedSuccessfully:
				assert.True(t, oneShot, "%s never ends", name)
			default:
				t.Errorf("%s: %s says nothing about being ready", name, d.Condition)
			}
		}
	})
	assert.NotContains(t, reachable(p, "api"), "temporal", "the API accepts webhooks while Temporal is down")
	assert.Subset(t, reachable(p, "worker"), []string{"migrate", "postgres", "temporal", "temporal-namespace", "temporal-schema"})
}

func reachable(p *types.Project, from string) (names []string) {
	for name := range p.Services[from].DependsOn {
		names = append(append(names, name), reachable(p, name)...)
	}
	return names
}

func TestComposeImagesArePinned(t *testing.T) {
	version := regexp.MustCompile(`:v?[0-9]+\.[0-9]+[.0-9a-z-]*$`)
	eachService(t, false, func(t *testing.T, s types.ServiceConfig) {
		if s.Build == nil {
			assert.Regexp(t, version, s.Image)
		} else {
			assert.Equal(t, "towpath:local", s.Image)
		}
	})
	// The server that Towpath is tested with and the one it runs with are one.
	tested := regexp.MustCompile(`(?m)^\s*(go\.temporal\.io/server|github\.com/temporalio/ui-server/v2) v(\S+)`).
		FindAllStringSubmatch(repositoryFile(t, "tools/temporal-dev/go.mod"), -1)
	require.Len(t, tested, 2)
	p := composed(t)
	for _, m := range tested {
		switch m[1] {
		case "go.temporal.io/server":
			assert.Equal(t, "temporalio/server:"+m[2], p.Services["temporal"].Image)
			for _, name := range []string{"temporal-schema", "temporal-namespace", "temporal-cli"} {
				assert.Equal(t, "temporalio/admin-tools:"+m[2], p.Services[name].Image)
			}
		default:
			assert.Equal(t, "temporalio/ui:"+m[2], p.Services["temporal-ui"].Image)
		}
	}
}

func TestComposeListensOnTheLoopbackOnly(t *testing.T) {
	p := composed(t)
	taken := map[string]string{}
	eachService(t, false, func(t *testing.T, s types.ServiceConfig) {
		assert.Empty(t, s.NetworkMode)
		for _, port := range s.Ports {
			assert.Equal(t, "127.0.0.1", port.HostIP)
			assert.Empty(t, taken[port.Published], "port %s is used twice", port.Published)
			taken[port.Published] = s.Name
		}
		internal := true
		for name := range s.Networks {
			internal = internal && p.Networks[name].Internal
		}
		assert.Equal(t, len(s.Ports) == 0 && s.Name != "worker" && s.Name != "towpath", internal,
			"only what publishes a port or calls shops is in a network with a way out")
	})
	assert.Len(t, p.Services["temporal"].Networks, 1, "its image finds its own address by host name")
}

func TestComposeGivesNoPrivileges(t *testing.T) {
	eachService(t, false, func(t *testing.T, s types.ServiceConfig) {
		assert.False(t, s.Privileged)
		assert.Empty(t, s.CapAdd)
		assert.Empty(t, s.Pid)
		assert.Contains(t, s.SecurityOpt, "no-new-privileges:true")
		for _, v := range s.Volumes {
			assert.NotContains(t, v.Source, "docker.sock")
			if v.Type == types.VolumeTypeBind {
				assert.True(t, v.ReadOnly, "%s", v.Target)
				assert.FileExists(t, firstFile(t, v.Source), "a missing source would be made a folder")
			}
		}
	})
	eachService(t, true, func(t *testing.T, s types.ServiceConfig) {
		assert.Regexp(t, `^[1-9][0-9]*:[1-9][0-9]*$`, s.User)
		assert.True(t, s.ReadOnly)
		assert.Equal(t, []string{"ALL"}, s.CapDrop)
	})
}

func firstFile(t *testing.T, path string) string {
	t.Helper()
	for {
		entries, err := os.ReadDir(path)
		if err != nil || len(entries) == 0 {
			return path
		}
		path = filepath.Join(path, entries[0].Name())
	}
}

func TestComposeCommandsExist(t *testing.T) {
	eachService(t, true, func(t *testing.T, s types.ServiceConfig) {
		assert.Empty(t, s.Entrypoint, "the image's own")
		assertCommand(t, s.Command)
	})
}

// assertCommand checks that the program takes a command with these arguments.
func assertCommand(t *testing.T, args []string) {
	t.Helper()
	root := newRoot()
	cmd, rest, err := root.Find(args)
	require.NoError(t, err)
	require.NotEqual(t, root, cmd, "%v is no command", args)
	require.NoError(t, cmd.ParseFlags(rest))
	require.NoError(t, cmd.ValidateArgs(cmd.Flags().Args()))
}

func TestComposeSetsWhatProcessesRead(t *testing.T) {
	var known []string
	for _, v := range config.Variables {
		known = append(known, v.Name)
	}
	eachService(t, true, func(t *testing.T, s types.ServiceConfig) {
		for name := range s.Environment {
			if strings.HasPrefix(name, "TOWPATH_") {
				assert.Contains(t, known, name)
			}
		}
		for _, v := range known { // config.Read sees what the container would
			t.Setenv(v, "")
		}
		for name, value := range s.Environment {
			require.NotNil(t, value, "%s", name)
			t.Setenv(name, *value)
		}
		c, err := config.Read()
		require.NoError(t, err)
		dsn, err := url.Parse(c.DatabaseURL)
		require.NoError(t, err)
		assert.Contains(t, s.DependsOn, dsn.Hostname(), "PostgreSQL is a service")
		assert.Equal(t, "https://hooks.example.com", c.PublicURL)
		assert.Equal(t, "temporal:7233", *s.Environment["TEMPORAL_ADDRESS"])
		assert.Equal(t, "towpath", *s.Environment["TEMPORAL_NAMESPACE"])
	})
}

func TestComposeHealthChecksAskWhatIsThere(t *testing.T) {
	p := composed(t)
	var contract struct {
		Paths map[string]map[string]any `yaml:"paths"`
	}
	require.NoError(t, yaml.Unmarshal([]byte(repositoryFile(t, "api/openapi.yaml")), &contract))
	for name, listens := range map[string]string{"api": "TOWPATH_LISTEN", "worker": "TOWPATH_METRICS_LISTEN"} {
		t.Run(name, func(t *testing.T) {
			s := p.Services[name]
			test := s.HealthCheck.Test
			require.Equal(t, []string{"CMD", "/towpath"}, []string(test[:2]), "the image has no shell")
			assertCommand(t, test[2:])
			u, err := url.Parse(test[len(test)-1])
			require.NoError(t, err)
			_, port, err := net.SplitHostPort(*s.Environment[listens])
			require.NoError(t, err)
			assert.Equal(t, "127.0.0.1:"+port, u.Host)
			assert.Contains(t, contract.Paths[u.Path], "get")
			assert.Greater(t, time.Duration(*s.HealthCheck.Timeout), healthTimeout, "the command gives up first and says why")
		})
	}
	assert.Equal(t, uint32(8080), p.Services["api"].Ports[0].Target)
}

func TestComposeLetsWorkFinish(t *testing.T) {
	p := composed(t)
	stop := regexp.MustCompile(`WorkerStopTimeout:\s+(\d+ \* time\.Second)`).FindStringSubmatch(repositoryFile(t, "worker/tuning.go"))
	require.NotNil(t, stop)
	timeout, err := time.ParseDuration(strings.ReplaceAll(stop[1], " * time.Second", "s"))
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Duration(*p.Services["worker"].StopGracePeriod), timeout+5*time.Second)
	assert.Greater(t, time.Duration(*p.Services["api"].StopGracePeriod), 10*time.Second, "api.Serve lets requests finish for 10 s")
	eachService(t, false, func(t *testing.T, s types.ServiceConfig) {
		if len(s.Profiles) == 0 {
			require.NotNil(t, s.Deploy)
			assert.Positive(t, s.Deploy.Resources.Limits.MemoryBytes, "a memory limit")
			assert.Regexp(t, `^(unless-stopped|on-failure:\d)$`, s.Restart)
		}
	})
}
