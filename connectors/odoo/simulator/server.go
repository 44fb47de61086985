package simulator

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// Options describe the Odoo to simulate. The zero value is an Odoo 19 named
// "towpath" on a free port, without delays.
type Options struct {
	Version  int    // 19 (default) or 14
	Database string // default "towpath"
	// Addr is where to listen, on loopback; default 127.0.0.1:0.
	Addr string
	// APIKey, when set, is an API key of the bot user; "towpath-test-key"
	// is always one, and "admin-test-key" the administrator's.
	APIKey string
	// UUID is the database's identity (ir.config_parameter database.uuid).
	UUID string
	// RoundPerLine rounds tax line by line; Odoo 19 rounds globally by
	// default, Odoo 14 per line.
	RoundPerLine  bool
	RoundGlobally bool
	// WithoutStock is an Odoo whose Inventory app is not installed, as far as
	// stock itself goes.
	WithoutStock bool
	// Workers bounds calls that are handled at once, as Odoo's HTTP workers
	// do; the rest wait. 0 is no bound.
	Workers int
	// Latency makes calls last as a real Odoo's do. The zero value is none;
	// RealisticLatency is what was measured.
	Latency Latency
	// Now is the server's clock; default time.Now.
	Now func() time.Time
}

// Latency is how long calls last: PerCall plus, for each record that they are
// about, PerRow when they write, PerConfirm when they confirm; reading costs
// PerRead each.
type Latency struct{ PerCall, PerRow, PerConfirm, PerRead time.Duration }

// RealisticLatency is about what a real Odoo 19 took on two cores (design.md
// section 4): 103 ms for an order alone, 15 ms in batches, 30 ms to confirm.
var RealisticLatency = Latency{PerCall: 20 * time.Millisecond, PerRow: 14 * time.Millisecond, PerConfirm: 28 * time.Millisecond, PerRead: 300 * time.Microsecond}

// Keys that every simulator knows.
const (
	BotKey   = "towpath-test-key"
	AdminKey = "admin-test-key"
)

// A Server is a running simulator. All its methods may be called at any time,
// from any goroutine.
type Server struct {
	// Faults decides which calls go wrong, and how.
	Faults *Faults
	// Stats counts the calls.
	Stats *Stats

	opts    Options
	db      *database
	addr    string
	workers chan struct{}

	mu    sync.Mutex // guards what follows
	http  *http.Server
	conns map[net.Conn]bool
	done  chan struct{}
}

// Start fills a database and serves it on loopback until Close.
func Start(opts Options) (*Server, error) {
	s, err := New(opts)
	if err != nil {
		return nil, err
	}
	if s.addr == "" {
		s.addr = "127.0.0.1:0"
	}
	if err := s.listen(); err != nil {
		return nil, err
	}
	return s, nil
}

// New makes a simulator that does not listen: it is an http.Handler.
func New(opts Options) (*Server, error) {
	if opts.Version == 0 {
		opts.Version = 19
	}
	if opts.Version != 14 && opts.Version != 19 {
		return nil, fmt.Errorf("simulator: Odoo %d is not simulated; 14 and 19 are", opts.Version)
	}
	if opts.Database == "" {
		opts.Database = "towpath"
	}
	if opts.UUID == "" {
		opts.UUID = "5f0c2d1e-0000-4000-8000-746f77706174"
	}
	if opts.Version == 14 && !opts.RoundGlobally {
		opts.RoundPerLine = true
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	models, err := loadModels(opts.Version)
	if err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	db := &database{version: opts.Version, now: opts.Now, models: models, xids: map[string]xid{}, named: map[place]map[string]bool{}, uuid: opts.UUID, name: opts.Database}
	db.users = usersOf(opts)
	if err := db.fill(opts); err != nil {
		return nil, fmt.Errorf("simulator: %w", err)
	}
	if opts.WithoutStock {
		delete(db.models, "stock.quant")
		delete(db.models, "stock.move")
	}
	s := &Server{Faults: &Faults{}, Stats: newStats(), opts: opts, db: db, addr: opts.Addr, conns: map[net.Conn]bool{}}
	if opts.Workers > 0 {
		s.workers = make(chan struct{}, opts.Workers)
	}
	return s, nil
}

func usersOf(opts Options) map[string]*user {
	bot := &user{ID: 5, Login: "towpath", Password: "towpath", Keys: []string{BotKey}, TZ: "UTC", Bot: true, Rights: salesRights, Forbidden: settingsOnly}
	if opts.Version < 19 { // a bot of 14 may read these
		bot.Forbidden = nil
	}
	if opts.APIKey != "" {
		bot.Keys = append(bot.Keys, opts.APIKey)
	}
	return map[string]*user{
		"admin":   {ID: 2, Login: "admin", Password: "admin", Keys: []string{AdminKey}, TZ: "UTC", Admin: true},
		"towpath": bot,
		"office":  {ID: 6, Login: "office", Password: "office", TZ: "UTC", Rights: officeRights, Forbidden: settingsOnly},
	}
}

// URL is the server's address, as Odoo's users know it.
func (s *Server) URL() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return "http://" + s.addr
}

// Database is the name of the one database.
func (s *Server) Database() string { return s.opts.Database }

// UUID is the database's identity.
func (s *Server) UUID() string { return s.opts.UUID }

func (s *Server) listen() error {
	listener, err := net.Listen("tcp", s.addr)
	if err != nil {
		return fmt.Errorf("simulator: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second, ConnState: s.track}
	done := make(chan struct{})
	s.mu.Lock()
	s.addr, s.http, s.done = listener.Addr().String(), server, done
	s.mu.Unlock()
	go func() {
		defer close(done)
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			panic(err)
		}
	}()
	return nil
}

func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch state {
	case http.StateNew:
		s.conns[c] = true
	case http.StateClosed, http.StateHijacked:
		delete(s.conns, c)
	}
}

// Close ends the server at once, without waiting for calls in flight.
func (s *Server) Close() error {
	s.mu.Lock()
	server, done := s.http, s.done
	s.http = nil
	s.mu.Unlock()
	if server == nil {
		return nil
	}
	err := server.Close()
	<-done
	return err
}

// Stop refuses connections, as a stopped Odoo does, keeping its data: calls in
// flight lose their connection, though what they do is done. Resume listens
// again at the same address.
func (s *Server) Stop() error { return s.Close() }

// Resume ends Stop.
func (s *Server) Resume() error { return s.listen() }

// Restart drops all connections and comes back with the same data.
func (s *Server) Restart() error {
	if err := s.Stop(); err != nil {
		return err
	}
	return s.Resume()
}

// Down stops the server for a while; it comes back by itself. The returned
// channel gives the result of coming back.
func (s *Server) Down(ctx context.Context, d time.Duration) (<-chan error, error) {
	if err := s.Stop(); err != nil {
		return nil, err
	}
	back := make(chan error, 1)
	go func() {
		select {
		case <-time.After(d):
		case <-ctx.Done():
		}
		back <- s.Resume()
	}()
	return back, nil
}

// ServeHTTP answers as Odoo's routes do.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.db.now().UTC().Format(http.TimeFormat))
	switch path := r.URL.Path; {
	case path == "/jsonrpc":
		s.serveJSONRPC(w, r)
	case path == "/web/webclient/version_info":
		s.serveVersion(w, r)
	case path == "/web/health":
		writeJSON(w, http.StatusOK, map[string]any{"status": "pass"})
	case path == "/xmlrpc/2/common", path == "/xmlrpc/2/object":
		s.serveXMLRPC(w, r)
	case len(path) > 7 && path[:8] == "/json/2/" && s.db.version >= 19:
		s.serveJSON2(w, r)
	default:
		notFound(w)
	}
}

func notFound(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(http.StatusNotFound)
	_, _ = w.Write([]byte("<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n<p>The requested URL was not found on the server. If you entered the URL manually please check your spelling and try again.</p>\n"))
}
