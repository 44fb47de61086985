package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"towpath/schema/config"
	"towpath/schema/fault"
)

// healthTimeout is less than a container engine waits for the check.
const healthTimeout = 3 * time.Second

// newHealth is the container's health check: the image has no shell and no
// curl. It reads no configuration but the address, so that it says how the
// running process is and not how its settings are.
func newHealth() *cobra.Command {
	return &cobra.Command{
		Use:   "health [URL]",
		Short: "Ask a running process whether it is well; for container health checks",
		Long: `Ask a running process whether it is well. Without URL, the API at TOWPATH_LISTEN
is asked for /readyz. A worker is asked for its metrics, as in
towpath health http://127.0.0.1:9464/metrics.

The exit code is 0 when it answers 2xx within 3 seconds, else 1.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			url := readyURL(os.Getenv)
			if len(args) == 1 {
				url = args[0]
			}
			if err := checkHealth(cmd.Context(), url); err != nil {
				return err
			}
			fmt.Fprintln(cmd.OutOrStdout(), "well")
			return nil
		},
	}
}

// readyURL is where the API of this container listens: an unspecified address
// (0.0.0.0, ::, none) is reached over the loopback.
func readyURL(getenv func(string) string) string {
	listen := strings.TrimSpace(getenv("TOWPATH_LISTEN"))
	if i := slices.IndexFunc(config.Variables, func(v config.Variable) bool { return v.Name == "TOWPATH_LISTEN" }); listen == "" && i >= 0 {
		listen = config.Variables[i].Default
	}
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		return "http://" + listen + "/readyz"
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return "http://" + net.JoinHostPort(host, port) + "/readyz"
}

// checkHealth gives a Transient fault for whatever is wrong, so that the exit
// code is 1: container engines reserve 2.
func checkHealth(ctx context.Context, url string) error {
	ctx, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	unwell := func(format string, args ...any) *fault.Fault {
		return fault.New(fault.Transient, "health.unwell", format, args...).
			WithResolution("read the process's log; towpath doctor looks at everything")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return unwell("%s is not an address", url).WithCause(err)
	}
	// Never through a proxy of the environment: the process asked is this one's neighbour.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return unwell("%s does not answer", url).WithCause(err)
	}
	defer res.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(res.Body, 1<<20))
	if res.StatusCode/100 != 2 {
		return unwell("%s answers %s", url, res.Status)
	}
	return nil
}
