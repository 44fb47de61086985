package worker

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/rs/zerolog"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/contrib/envconfig"
	"google.golang.org/protobuf/types/known/durationpb"

	"towpath/schema/fault"
	"towpath/workflows/contract"
)

// Dial connects to Temporal as the TEMPORAL_* variables or temporal.toml say.
// It is lazy: a process starts, and accepts webhooks, while Temporal is down.
func Dial(log zerolog.Logger) (client.Client, client.Options, error) {
	opt, err := envconfig.LoadDefaultClientOptions()
	if err != nil {
		return nil, opt, fault.New(fault.Invalid, "temporal.config", "the Temporal settings cannot be read").
			WithField("TEMPORAL_*").WithResolution("check the TEMPORAL_* variables and temporal.toml").WithCause(err).WithDetail(err.Error())
	}
	opt.Logger = sdkLogger{log}
	// Our messages are ids and codes of some hundred bytes: gzip saves nothing
	// and cost a tenth of a worker's time.
	opt.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{}
	opt.ConnectionOptions.DialOptions = append(opt.ConnectionOptions.DialOptions, carryConflictTokens())
	c, err := client.NewLazyClient(opt)
	if err != nil {
		return nil, opt, unreachable(opt, err)
	}
	return c, opt, nil
}

func unreachable(opt client.Options, err error) error {
	address := opt.HostPort
	if address == "" {
		address = client.DefaultHostPort
	}
	return fault.New(fault.Transient, "temporal.unreachable", "Temporal does not answer at %s", address).
		WithResolution("check that the server runs, and TEMPORAL_ADDRESS and TEMPORAL_NAMESPACE").WithCause(err)
}

// WaitReady waits until Temporal answers, telling the log now and then, and
// makes sure that namespace and search attributes exist. Servers where that is
// not permitted (Temporal Cloud) are left as they are.
func WaitReady(ctx context.Context, c client.Client, opt client.Options, log zerolog.Logger) error {
	for wait := 100 * time.Millisecond; ; wait = min(wait*2, 5*time.Second) {
		err := Ensure(ctx, c, opt)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return unreachable(opt, err)
		}
		if wait > time.Second {
			log.Warn().Str("fault", "temporal.unreachable").Str("address", opt.HostPort).Msg("waiting for Temporal")
		}
		select {
		case <-ctx.Done():
			return unreachable(opt, err)
		case <-time.After(wait):
		}
	}
}

// Ensure makes namespace and search attributes exist.
func Ensure(ctx context.Context, c client.Client, opt client.Options) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	namespace := opt.Namespace
	if namespace == "" {
		namespace = client.DefaultNamespace
	}
	service := c.WorkflowService()
	_, err := service.DescribeNamespace(ctx, &workflowservice.DescribeNamespaceRequest{Namespace: namespace})
	var missing *serviceerror.NamespaceNotFound
	switch {
	case errors.As(err, &missing):
		_, err = service.RegisterNamespace(ctx, &workflowservice.RegisterNamespaceRequest{
			Namespace: namespace, WorkflowExecutionRetentionPeriod: durationpb.New(7 * 24 * time.Hour),
		})
		if err != nil {
			return err
		}
	case notPermitted(err):
		return nil
	case err != nil:
		return err
	}
	return ensureAttributes(ctx, c, namespace)
}

func ensureAttributes(ctx context.Context, c client.Client, namespace string) error {
	have, err := c.OperatorService().ListSearchAttributes(ctx, &operatorservice.ListSearchAttributesRequest{Namespace: namespace})
	if notPermitted(err) {
		return nil
	}
	if err != nil {
		return err
	}
	missing := map[string]enumspb.IndexedValueType{}
	for name, kind := range contract.SearchAttributes() {
		if _, ok := have.CustomAttributes[name]; !ok {
			missing[name] = kind
		}
	}
	if len(missing) == 0 {
		return nil
	}
	_, err = c.OperatorService().AddSearchAttributes(ctx, &operatorservice.AddSearchAttributesRequest{Namespace: namespace, SearchAttributes: missing})
	if notPermitted(err) || err != nil && strings.Contains(err.Error(), "already exists") {
		return nil
	}
	return err
}

func notPermitted(err error) bool {
	var denied *serviceerror.PermissionDenied
	var unimplemented *serviceerror.Unimplemented
	return errors.As(err, &denied) || errors.As(err, &unimplemented)
}

// sdkLogger lets Temporal's SDK log through zerolog, one level down: its news
// is ours only when something is wrong.
type sdkLogger struct{ log zerolog.Logger }

func (l sdkLogger) Debug(msg string, kv ...any) {}
func (l sdkLogger) Info(msg string, kv ...any)  { l.log.Debug().Fields(kv).Msg("temporal: " + msg) }
func (l sdkLogger) Warn(msg string, kv ...any)  { l.log.Warn().Fields(kv).Msg("temporal: " + msg) }
func (l sdkLogger) Error(msg string, kv ...any) { l.log.Error().Fields(kv).Msg("temporal: " + msg) }

// Pollers counts who listens on a task queue: a queue with none is an alarm.
func Pollers(ctx context.Context, c client.Client, queue string) (int, error) {
	kind := enumspb.TASK_QUEUE_TYPE_ACTIVITY
	if queue == contract.QueueMain {
		kind = enumspb.TASK_QUEUE_TYPE_WORKFLOW
	}
	r, err := c.DescribeTaskQueue(ctx, queue, kind)
	if err != nil {
		return 0, err
	}
	return len(r.Pollers), nil
}
