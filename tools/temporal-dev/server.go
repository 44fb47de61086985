package main

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"time"

	uiserver "github.com/temporalio/ui-server/v2/server"
	uiconfig "github.com/temporalio/ui-server/v2/server/config"
	uioptions "github.com/temporalio/ui-server/v2/server/server_options"
	"go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/cluster"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/common/membership/static"
	"go.temporal.io/server/common/metrics"
	"go.temporal.io/server/common/primitives"
	"go.temporal.io/server/temporal"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"towpath/tools/temporal-dev/internal/options"
)

// clusterName and the store's name are those of the official CLI, so that
// either program can open the other's file.
const (
	clusterName = "active"
	storeName   = "sqlite-default"
)

// server is a running Temporal server with its web UI.
type server struct {
	temporal temporal.Server
	ui       *uiserver.Server
	release  func()
}

// startServer returns when workflows can be started.
func startServer(ctx context.Context, o *options.Options, logger log.Logger) (*server, error) {
	if err := checkPortsFree(o); err != nil {
		return nil, err
	}
	store, release, err := openStore(o)
	if err != nil {
		return nil, err
	}
	conf, err := serverConfig(o, store)
	if err != nil {
		release()
		return nil, err
	}
	hosts := map[primitives.ServiceName]static.Hosts{}
	for name, s := range conf.Services {
		hosts[primitives.ServiceName(name)] = static.SingleLocalHost(hostPort(o.LocalIP(), s.RPC.GRPCPort))
	}
	srv, err := temporal.NewServer(
		temporal.WithConfig(conf),
		temporal.ForServices(temporal.DefaultServices),
		// Fixed addresses instead of the gossip protocol by which the services
		// of a real cluster find each other; that one needs seconds to settle.
		temporal.WithStaticHosts(hosts),
		temporal.WithLogger(logger),
		temporal.WithDynamicConfigClient(dynamicConfig(o.DynamicValues)),
		// Everybody who reaches the port may do everything: bind to loopback.
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
	)
	if err != nil {
		release()
		return nil, err
	}
	if err := srv.Start(); err != nil {
		release()
		return nil, err
	}
	s := &server{temporal: srv, release: release}
	if err := ensureReady(ctx, o); err != nil {
		s.stop()
		return nil, err
	}
	if !o.Headless {
		s.ui = newUI(o)
		go s.ui.Start() // ends the process itself if it cannot listen
	}
	return s, nil
}

func (s *server) stop() {
	if s.ui != nil {
		s.ui.Stop()
	}
	s.temporal.Stop()
	s.release()
}

// serverConfig is the static configuration, which a real deployment keeps in a
// YAML file. It follows buildServerConfig of the official CLI v1.9.1.
func serverConfig(o *options.Options, store *config.SQL) (*config.Config, error) {
	var c config.Config
	c.Global.Membership.MaxJoinDuration = 30 * time.Second
	c.Global.Membership.BroadcastAddress = o.LocalIP()
	if o.MetricsPort > 0 {
		c.Global.Metrics = &metrics.Config{Prometheus: &metrics.PrometheusConfig{
			ListenAddress: hostPort(o.IP, o.MetricsPort),
			HandlerPath:   "/metrics",
		}}
	}

	// History and visibility share one SQLite database. One shard: the number is
	// fixed for ever at creation, and one writer gains nothing from more.
	c.Persistence.DefaultStore = storeName
	c.Persistence.VisibilityStore = storeName
	c.Persistence.NumHistoryShards = 1
	c.Persistence.DataStores = map[string]config.DataStore{storeName: {SQL: store}}

	c.Services = map[string]config.Service{}
	for _, name := range temporal.DefaultServices {
		var s config.Service
		if name == string(primitives.FrontendService) {
			s.RPC.BindOnIP, s.RPC.GRPCPort, s.RPC.HTTPPort = o.IP, o.Port, o.HTTPPort
			if s.RPC.HTTPPort == 0 {
				// The server delivers Nexus callbacks to itself by HTTP, so there
				// is always a port for it.
				var err error
				if s.RPC.HTTPPort, err = freePort(o.LocalIP()); err != nil {
					return nil, err
				}
			}
		} else {
			port, err := freePort(o.LocalIP())
			if err != nil {
				return nil, err
			}
			// Inner services never listen beyond what they need.
			s.RPC.BindOnIP, s.RPC.GRPCPort = o.LocalIP(), port
		}
		c.Services[name] = s
	}
	frontend := c.Services[string(primitives.FrontendService)]

	c.ClusterMetadata = &cluster.Config{
		FailoverVersionIncrement: 10,
		MasterClusterName:        clusterName,
		CurrentClusterName:       clusterName,
		ClusterInformation: map[string]cluster.ClusterInformation{clusterName: {
			// No ClusterID: the server makes one for a new database and keeps it.
			Enabled:                true,
			InitialFailoverVersion: 1,
			RPCAddress:             hostPort(o.LocalIP(), o.Port),
			HTTPAddress:            hostPort(o.LocalIP(), frontend.RPC.HTTPPort),
		}},
	}
	c.DCRedirectionPolicy.Policy = "noop"
	c.Archival.History.State = "disabled"
	c.Archival.Visibility.State = "disabled"
	c.NamespaceDefaults.Archival.History.State = "disabled"
	c.NamespaceDefaults.Archival.Visibility.State = "disabled"
	c.PublicClient.HostPort = hostPort(o.LocalIP(), o.Port)
	return &c, nil
}

func newUI(o *options.Options) *uiserver.Server {
	host := o.UIIP
	if net.ParseIP(host).To4() == nil {
		host = "[" + host + "]" // it joins host and port with a plain colon
	}
	return uiserver.NewServer(uioptions.WithConfigProvider(&uiconfig.Config{
		Host:                host,
		Port:                o.UIPort,
		TemporalGRPCAddress: hostPort(o.LocalIP(), o.Port),
		EnableUI:            true,
		PublicPath:          o.UIPublicPath,
		UIAssetPath:         o.UIAssetPath,
		Codec:               uiconfig.Codec{Endpoint: o.UICodecEndpoint},
		CORS:                uiconfig.CORS{CookieInsecure: true}, // plain HTTP
		HideLogs:            true,
		DisableNewsFetch:    true, // no calls to the outside world
	}))
}

// ensureReady waits until every namespace answers, and adds the search
// attributes which a namespace of an older file lacks.
func ensureReady(ctx context.Context, o *options.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(hostPort(o.LocalIP(), o.Port), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	workflows, operator := workflowservice.NewWorkflowServiceClient(conn), operatorservice.NewOperatorServiceClient(conn)

	for _, ns := range o.Namespaces {
		// A read through frontend, history and the database: the last parts to
		// come up are the shard and the namespace cache.
		if err := retry(ctx, func() error {
			_, err := workflows.CountWorkflowExecutions(ctx, &workflowservice.CountWorkflowExecutionsRequest{Namespace: ns})
			return err
		}); err != nil {
			return fmt.Errorf("namespace %s does not answer: %w", ns, err)
		}
		have, err := operator.ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: ns})
		if err != nil {
			return fmt.Errorf("namespace %s: listing search attributes: %w", ns, err)
		}
		missing := map[string]enums.IndexedValueType{}
		for name, want := range o.SearchAttrs {
			if got, ok := have.CustomAttributes[name]; !ok {
				missing[name] = want
			} else if got != want {
				return fmt.Errorf("namespace %s: search attribute %s is a %s in this database file, not a %s", ns, name, got, want)
			}
		}
		if len(missing) == 0 {
			continue
		}
		if _, err := operator.AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{
			Namespace: ns, SearchAttributes: missing,
		}); err != nil {
			return fmt.Errorf("namespace %s: adding search attributes: %w", ns, err)
		}
	}
	return nil
}

func retry(ctx context.Context, f func() error) error {
	for {
		err := f()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
}

func hostPort(ip string, port int) string { return net.JoinHostPort(ip, strconv.Itoa(port)) }

// checkPortsFree gives a clear error early; the server's own comes late and
// wrapped in its dependency injection.
func checkPortsFree(o *options.Options) error {
	addrs := map[string]string{"port": hostPort(o.IP, o.Port)}
	if o.HTTPPort > 0 {
		addrs["http-port"] = hostPort(o.IP, o.HTTPPort)
	}
	if o.MetricsPort > 0 {
		addrs["metrics-port"] = hostPort(o.IP, o.MetricsPort)
	}
	if !o.Headless {
		addrs["ui-port"] = hostPort(o.UIIP, o.UIPort)
	}
	for flag, addr := range addrs {
		l, err := net.Listen("tcp", addr)
		if err != nil {
			return fmt.Errorf("--%s: %w", flag, err)
		}
		l.Close()
	}
	return nil
}

// freePort finds a port for an inner service. Closing an accepted connection
// from this side leaves the port in TIME_WAIT: the system does not hand it out
// again for a minute, while the service can still bind it. (The official CLI's
// GetFreePort explains this at length.)
func freePort(ip string) (int, error) {
	l, err := net.Listen("tcp", hostPort(ip, 0))
	if err != nil {
		return 0, err
	}
	defer l.Close()
	out, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		return 0, err
	}
	defer out.Close()
	in, err := l.Accept()
	if err != nil {
		return 0, err
	}
	in.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
