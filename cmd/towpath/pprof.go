package main

import (
	"net"
	"net/http"
	"net/http/pprof"
	"os"
	"time"

	"github.com/rs/zerolog"
)

// servePprof serves Go's profiles on the loopback address in TOWPATH_PPROF, for
// people who look for what a process spends its time on. It is off without.
func servePprof(log zerolog.Logger) {
	address := os.Getenv("TOWPATH_PPROF")
	if address == "" {
		return
	}
	if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
		log.Warn().Msg("TOWPATH_PPROF is no loopback address such as 127.0.0.1:6060; profiles are not served")
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	s := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() { log.Warn().Err(s.ListenAndServe()).Msg("profiles are not served") }()
}
