package store_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"syscall"
	"testing"

	"github.com/lib/pq"
	"github.com/lib/pq/pqerror"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"towpath/schema/fault"
	"towpath/schema/store"
	"towpath/schema/storetest"
)

func TestPostgresErrorsBecomeFaults(t *testing.T) {
	t.Parallel()
	sqlState := func(code string) error { return &pq.Error{Code: pqerror.Code(code), Message: "has jane@example.com"} }
	for name, c := range map[string]struct {
		err  error
		kind fault.Kind
		code string
	}{
		"no rows":       {sql.ErrNoRows, fault.NotFound, "store.not_found"},
		"disk full":     {sqlState("53100"), fault.Transient, "store.disk_full"},
		"too many":      {sqlState("53300"), fault.Transient, "store.busy"},
		"shutdown":      {sqlState("57P01"), fault.Transient, "store.busy"},
		"deadlock":      {sqlState("40P01"), fault.Transient, "store.busy"},
		"serialisation": {sqlState("40001"), fault.Transient, "store.busy"},
		"lock timeout":  {sqlState("55P03"), fault.Transient, "store.busy"},
		"read only":     {sqlState("25006"), fault.Transient, "store.busy"},
		"password":      {sqlState("28P01"), fault.Unauthorized, "store.credentials"},
		"no database":   {sqlState("3D000"), fault.NotFound, "store.no_database"},
		"no table":      {sqlState("42P01"), fault.Transient, "store.not_migrated"},
		"bad text":      {sqlState("22021"), fault.Invalid, "store.refused"},
		"unique":        {sqlState("23505"), fault.Invalid, "store.refused"},
		"unknown":       {sqlState("XX000"), fault.Transient, "store.unexpected"},
		"no code":       {sqlState(""), fault.Transient, "store.unexpected"},
		"refused":       {&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}, fault.Transient, "store.unreachable"},
		"bad conn":      {driver.ErrBadConn, fault.Transient, "store.unreachable"},
		"broke off":     {fmt.Errorf("read: %w", io.ErrUnexpectedEOF), fault.Transient, "store.unreachable"},
		"too slow":      {context.DeadlineExceeded, fault.Transient, "store.unreachable"},
		"anything":      {errors.New("boom"), fault.Transient, "unknown"},
		"a fault":       {store.Superseded(), fault.Conflict, "object.superseded"},
	} {
		t.Run(name, func(t *testing.T) {
			f := fault.Of(store.TranslateForTest(c.err))
			require.Equal(t, c.kind, f.Kind)
			require.Equal(t, c.code, f.Code)
			require.NotContains(t, f.Error(), "jane@", "what PostgreSQL quotes is private")
		})
	}
	require.NoError(t, store.TranslateForTest(nil))
}

func TestOpenExplainsWhatIsWrong(t *testing.T) {
	t.Parallel()
	for _, dsn := range []string{"", "host=localhost", "mysql://x/y", "://"} {
		_, err := store.Open(t.Context(), dsn, store.Options{})
		require.Equal(t, "store.bad_dsn", fault.Of(err).Code, dsn)
		require.NotEmpty(t, fault.Of(err).Resolution)
	}
	_, err := store.Open(t.Context(), "postgres://u:planted@127.0.0.1:1/db?sslmode=disable", store.Options{})
	require.Equal(t, "store.unreachable", fault.Of(err).Code)
	require.NotContains(t, err.Error(), "planted")
}

// Who takes a connection and then stands still for a while is waited for.
func TestOpenWaitsForPostgresThatStandsStill(t *testing.T) {
	t.Parallel()
	dsn, err := url.Parse(storetest.NewSchema(t))
	require.NoError(t, err)
	still, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = still.Close() })
	real := dsn.Host
	if dsn.Port() == "" {
		real += ":5432"
	}
	go func() {
		for n := 0; ; n++ {
			from, err := still.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = from.Close() }()
				if n < 2 {
					_, _ = io.Copy(io.Discard, from) // until he gives up
					return
				}
				to, err := net.Dial("tcp", real)
				if err != nil {
					return
				}
				defer func() { _ = to.Close() }()
				go func() { _, _ = io.Copy(to, from) }()
				_, _ = io.Copy(from, to)
			}()
		}
	}()
	q := dsn.Query()
	q.Set("connect_timeout", "1")
	dsn.Host, dsn.RawQuery = still.Addr().String(), q.Encode()
	s, err := store.Open(t.Context(), dsn.String(), store.Options{})
	require.NoError(t, err)
	require.NoError(t, s.Close())
}

// Many processes start at once and all migrate.
func TestMigrateByManyAtOnce(t *testing.T) {
	t.Parallel()
	dsn := storetest.NewSchema(t)
	applied := make(chan int, 4)
	var g errgroup.Group
	for range 4 {
		s, err := store.Open(t.Context(), dsn, store.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { _ = s.Close() })
		g.Go(func() error { n, err := s.Migrate(t.Context()); applied <- n; return err })
	}
	require.NoError(t, g.Wait())
	close(applied)
	workers := 0
	for n := range applied {
		if n > 0 {
			workers++
		}
	}
	require.Equal(t, 1, workers)
	s := storetest.OpenAt(t, dsn)
	require.NoError(t, s.Ping(t.Context()))
	require.NoError(t, s.Close())
	require.Error(t, s.Ping(t.Context()))
}

func TestWithoutMigrationThereIsAHint(t *testing.T) {
	t.Parallel()
	s, err := store.Open(t.Context(), storetest.NewSchema(t), store.Options{})
	require.NoError(t, err)
	defer func() { _ = s.Close() }()
	_, err = s.Connections(t.Context())
	require.Equal(t, "store.not_migrated", fault.Of(err).Code)
	require.Contains(t, fault.Of(err).Resolution, "towpath migrate")
}
