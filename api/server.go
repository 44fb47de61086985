package api

import (
	"context"
	_ "embed"
	"errors"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/labstack/echo/v4/middleware"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"towpath/connectors"
	"towpath/connectors/pool"
	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/webhook"
)

// Pool opens connectors by name. One that also tells Kind, as pool.Pool does,
// has the kind in a webhook's address checked.
type Pool interface {
	Get(ctx context.Context, connection string) (connectors.Connector, error)
}

type kinds interface {
	Kind(ctx context.Context, connection string) (string, error)
}

var _ kinds = (*pool.Pool)(nil)

// Inbox accepts events durably.
type Inbox interface {
	Accept(ctx context.Context, batch []store.Inbound) (fresh int, err error)
}

// Deps are what the API works with.
type Deps struct {
	Pool  Pool
	Inbox Inbox
	// Events are where events of Odoo are told from.
	Events Events
	// Ready says whether webhooks can be accepted: PostgreSQL answers.
	Ready func(ctx context.Context) error
	// Connections are all of them, for the aliases that carry the shop in a
	// header instead of the path.
	Connections func(ctx context.Context) ([]store.Connection, error)
	Log         zerolog.Logger
	MaxBody     int64 // bytes, default 8 MiB
}

//go:embed openapi.yaml
var contract []byte

// New builds the Echo server.
func New(d Deps) *echo.Echo {
	if d.MaxBody == 0 {
		d.MaxBody = 8 << 20
	}
	e := echo.New()
	e.HideBanner, e.HidePort = true, true
	e.HTTPErrorHandler = d.answerError
	e.Server.ReadHeaderTimeout = 5 * time.Second
	e.Server.ReadTimeout = 30 * time.Second
	e.Server.IdleTimeout = 2 * time.Minute
	e.Use(middleware.RequestID(), d.logRequest, middleware.RecoverWithConfig(middleware.RecoverConfig{LogErrorFunc: d.logPanic}))

	e.POST("/webhooks/:kind/:connection", d.receive)
	for _, alias := range []string{"/webhook/shopify", "/shopify/webhook"} {
		e.POST(alias, d.receiveByShop)
	}
	for _, alias := range []string{"sale-order", "invoice", "partner", "lead"} {
		e.POST("/webhooks/odoo/"+alias, d.receiveByKey)
	}
	e.GET("/event-types", func(c echo.Context) error { return answer(c, http.StatusOK, webhook.Catalogue()) })
	e.GET("/event-types/:type", eventType)
	e.POST("/deliveries/:endpoint/:event/applied", d.applied)
	e.GET("/healthz", func(c echo.Context) error { return answer(c, http.StatusOK, map[string]string{"status": "alive"}) })
	e.GET("/readyz", d.readiness)
	e.GET("/metrics", echo.WrapHandler(promhttp.Handler()))
	e.GET("/openapi.yaml", func(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", contract) })
	return e
}

// Serve runs the server until ctx ends, then lets requests in progress finish.
func Serve(ctx context.Context, e *echo.Echo, listen string) error {
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return fault.New(fault.Invalid, "api.listen", "cannot listen on %s", listen).
			WithField("TOWPATH_LISTEN").WithResolution("choose a free address; another process may hold this one").WithCause(err)
	}
	e.Listener = l
	done := make(chan error, 1)
	go func() { done <- e.Start("") }()
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	err = e.Shutdown(stop)
	if serveErr := <-done; err == nil && !errors.Is(serveErr, http.ErrServerClosed) {
		err = serveErr
	}
	return err
}

func (d Deps) readiness(c echo.Context) error {
	ctx, cancel := context.WithTimeout(c.Request().Context(), 2*time.Second)
	defer cancel()
	if err := d.Ready(ctx); err != nil {
		f := fault.Of(err)
		return fault.New(fault.Transient, f.Code, "not ready: %s", f.Message).WithResolution("%s", f.Resolution)
	}
	return answer(c, http.StatusOK, map[string]string{"status": "ready"})
}

// logPanic keeps where a handler broke off. What it broke off with may quote a
// body, so only the runtime's own words are logged.
func (d Deps) logPanic(_ echo.Context, err error, stack []byte) error {
	line := d.Log.Error().Bytes("stack", stack)
	var own runtime.Error
	if errors.As(err, &own) {
		line = line.Str("panic", own.Error())
	}
	line.Msg("a handler broke off by a defect")
	return fault.New(fault.Transient, "api.defect", "this request met a defect; send it again later")
}

// logRequest writes one wide line per request: no headers, no bodies.
func (d Deps) logRequest(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		began := time.Now()
		err := next(c)
		if err != nil {
			c.Error(err)
		}
		status := c.Response().Status
		requests.WithLabelValues(c.Path(), statusClass(status)).Observe(time.Since(began).Seconds())
		level := zerolog.InfoLevel
		switch {
		case status >= 500:
			level = zerolog.ErrorLevel
		case status >= 400:
			level = zerolog.WarnLevel
		case c.Path() == "/healthz" || c.Path() == "/metrics":
			level = zerolog.DebugLevel
		}
		line := d.Log.WithLevel(level).Str("method", c.Request().Method).Str("route", c.Path()).Int("status", status).
			Str("connection", c.Param("connection")).Int64("bytes", c.Request().ContentLength).Dur("took", time.Since(began)).
			Str("request_id", c.Response().Header().Get(echo.HeaderXRequestID))
		if err != nil {
			line = line.Str("fault", fault.Of(toFault(err)).Code)
		}
		line.Msg("request")
		return nil
	}
}
