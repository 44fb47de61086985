package api

import (
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"towpath/schema/fault"
)

var (
	hooksReceived = promauto.NewCounterVec(prometheus.CounterOpts{
		Name: "towpath_hooks_received_total", Help: "Inbound webhooks by what became of them.",
	}, []string{"connection", "result"})
	requests = promauto.NewHistogramVec(prometheus.HistogramOpts{
		Name: "towpath_http_request_seconds", Help: "Time to answer HTTP requests.",
		Buckets: []float64{.002, .005, .01, .02, .05, .1, .25, .5, 1, 2, 5},
	}, []string{"route", "status"})
)

// envelope is the shape of every answer (requirements X8).
type envelope struct {
	Success   bool      `json:"success"`
	Data      any       `json:"data,omitempty"`
	Error     *problem  `json:"error,omitempty"`
	Timestamp time.Time `json:"timestamp"`
	RequestID string    `json:"request_id"`
}

type problem struct {
	Code       string            `json:"code"`
	Message    string            `json:"message"`
	Resolution string            `json:"resolution,omitempty"`
	Fields     map[string]string `json:"fields,omitempty"`
}

func answer(c echo.Context, status int, data any) error {
	return c.JSON(status, envelope{Success: true, Data: data, Timestamp: time.Now().UTC(), RequestID: requestID(c)})
}

func requestID(c echo.Context) string { return c.Response().Header().Get(echo.HeaderXRequestID) }

// answerError is the table fault -> HTTP.
func (d Deps) answerError(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	f := toFault(err)
	status := statusOf(f)
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		after := max(f.After, time.Second)
		c.Response().Header().Set(echo.HeaderRetryAfter, strconv.Itoa(int(after.Seconds())))
	}
	p := &problem{Code: f.Code, Message: f.Message, Resolution: f.Resolution}
	if f.Field != "" {
		p.Fields = map[string]string{f.Field: f.Message}
	}
	_ = c.JSON(status, envelope{Error: p, Timestamp: time.Now().UTC(), RequestID: requestID(c)})
}

// toFault takes Echo's own errors (no such route, wrong method) into the
// vocabulary.
func toFault(err error) *fault.Fault {
	var he *echo.HTTPError
	if errors.As(err, &he) {
		switch he.Code {
		case http.StatusNotFound:
			return fault.New(fault.NotFound, "api.no_route", "there is nothing at this address").WithResolution("see /openapi.yaml")
		case http.StatusMethodNotAllowed:
			return fault.New(fault.Unsupported, "api.method", "this address does not take that method").WithResolution("see /openapi.yaml")
		}
	}
	return fault.Of(err)
}

func statusOf(f *fault.Fault) int {
	switch {
	case f.Code == "api.too_large":
		return http.StatusRequestEntityTooLarge
	case f.Code == "api.method":
		return http.StatusMethodNotAllowed
	}
	switch f.Kind {
	case fault.Unauthorized:
		return http.StatusUnauthorized
	case fault.Invalid:
		return http.StatusBadRequest
	case fault.NotFound:
		return http.StatusNotFound
	case fault.Conflict:
		return http.StatusConflict
	case fault.Unsupported:
		return http.StatusUnprocessableEntity
	case fault.RateLimited:
		return http.StatusTooManyRequests
	default:
		return http.StatusServiceUnavailable
	}
}

func statusClass(status int) string { return strconv.Itoa(status/100) + "xx" }
