package main

import (
	"context"
	"fmt"
	"io"

	"github.com/goccy/go-yaml"

	"towpath/connectors/endpoint"
	"towpath/schema/fault"
	"towpath/schema/webhook"
)

// fileEndpoint is a receiver of webhooks as the file has it. Its secrets are
// sealed when it is stored.
type fileEndpoint struct {
	webhook.Endpoint `yaml:",inline"`
	Secrets          webhook.Secrets `yaml:"secrets"`
}

// checkEndpoints replaces variables in secrets and headers, and tells all that
// is wrong.
func (f *file) checkEndpoints(lookup func(string) (string, bool)) (wrong []string) {
	seen := map[string]bool{}
	for i := range f.Endpoints {
		e := &f.Endpoints[i]
		where := fmt.Sprintf("endpoints[%d]", i)
		if seen[e.Name] && e.Name != "" {
			wrong = append(wrong, fmt.Sprintf("%s.name: there are two endpoints %q", where, e.Name))
		}
		seen[e.Name] = true
		missing, err := e.expand(lookup)
		if err != nil {
			wrong = append(wrong, where+".secrets: cannot be read")
			continue
		}
		for _, name := range missing {
			wrong = append(wrong, fmt.Sprintf("%s: the environment variable %s is not set", where, name))
		}
		faults := e.Faults()
		if len(missing) == 0 {
			faults = append(faults, e.SecretFaults(e.Secrets)...)
		}
		for _, w := range faults {
			wrong = append(wrong, fmt.Sprintf("%s.%s: %s; %s", where, w.Field, w.Message, w.Resolution))
		}
		if len(faults) == 0 {
			if err := endpoint.Check(e.URL, endpoint.Network(e.WithDefaults().Network)); err != nil {
				w := fault.Of(err)
				wrong = append(wrong, fmt.Sprintf("%s.%s: %s; %s", where, w.Field, w.Message, w.Resolution))
			}
		}
	}
	return wrong
}

// expand replaces ${NAME} in an endpoint's secrets, headers and address.
func (e *fileEndpoint) expand(lookup func(string) (string, bool)) (missing []string, err error) {
	raw, err := yaml.Marshal(e.Secrets)
	if err != nil {
		return nil, err
	}
	tree := map[string]any{}
	if err := yaml.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	headers := map[string]any{"url": e.URL}
	for name, value := range e.Headers {
		headers["header "+name] = value
	}
	missing = append(expand(tree, lookup), expand(headers, lookup)...)
	e.URL = headers["url"].(string)
	for name := range e.Headers {
		e.Headers[name] = headers["header "+name].(string)
	}
	if raw, err = yaml.Marshal(tree); err != nil {
		return missing, err
	}
	return missing, yaml.Unmarshal(raw, &e.Secrets)
}

func (p *process) applyEndpoints(ctx context.Context, f file, out io.Writer) error {
	for _, e := range f.Endpoints {
		changed, made, err := p.outbound().Put(ctx, e.Endpoint, e.Secrets)
		if err != nil {
			return err
		}
		fmt.Fprintf(out, "endpoint   %-24s %s\n", e.Name, word(changed))
		if made != "" {
			fmt.Fprintf(out, "           its signing secret was made; show it to the receiver: towpath endpoint secret %s\n", e.Name)
		}
	}
	return nil
}
