// Package temporaltest lets tests talk to a real Temporal server on a machine
// that may stand still for a while: what is late there is not broken.
package temporaltest

import (
	"context"
	"errors"
	"strings"
	"time"

	"go.temporal.io/api/serviceerror"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// patience is how long a call may take, instead of the ten seconds that the SDK
// gives each.
const patience = 2 * time.Minute

// Patient makes a client's calls wait for longer than the SDK would, and ask
// again when the server has given up on one: it is the same request, which a
// server that did carry it out knows by its id. A call that was given less than
// two seconds keeps to them. A namespace that was just made is awaited, too: each
// part of the server reads the list of them in its own time.
func Patient(o client.Options) client.Options {
	o.ConnectionOptions.GrpcCompression = &client.GrpcCompressionNone{} // as worker.Dial
	o.ConnectionOptions.DialOptions = append(o.ConnectionOptions.DialOptions, grpc.WithChainUnaryInterceptor(wait))
	return o
}

func wait(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
	deadline, ok := ctx.Deadline()
	if !ok || time.Until(deadline) < 2*time.Second {
		return invoke(ctx, method, req, reply, cc, opts...)
	}
	longer, cancel := context.WithTimeout(context.WithoutCancel(ctx), max(patience, time.Until(deadline)))
	defer cancel()
	stop := context.AfterFunc(ctx, func() {
		if !errors.Is(ctx.Err(), context.DeadlineExceeded) {
			cancel()
		}
	})
	defer stop()
	for {
		err := invoke(longer, method, req, reply, cc, opts...)
		switch status.Code(err) {
		case codes.DeadlineExceeded: // the server's own
		case codes.NotFound:
			var unknown *serviceerror.NamespaceNotFound
			if !errors.As(serviceerror.FromStatus(status.Convert(err)), &unknown) || strings.HasSuffix(method, "/DescribeNamespace") {
				return err
			}
		case codes.Unavailable:
			if ctx.Err() == nil {
				return err // the SDK asks again
			}
		default:
			return err
		}
		select {
		case <-longer.Done():
			return err
		case <-time.After(100 * time.Millisecond):
		}
	}
}
