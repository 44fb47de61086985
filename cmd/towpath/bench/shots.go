package bench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"towpath/connectors/shopify/simulator"
)

// shots are signed webhooks as they go over the wire, made before the clock
// starts: a generator that costs much would hide what the server costs.
type shots [][]byte

func newShots(path, domain, secret string, deliveries []simulator.Delivery) shots {
	all := make(shots, len(deliveries))
	for i, d := range deliveries {
		var b bytes.Buffer
		fmt.Fprintf(&b, "POST %s HTTP/1.1\r\nHost: towpath\r\nContent-Length: %d\r\n", path, len(d.Body))
		_ = d.Header(domain, secret).Write(&b) // a buffer takes everything
		b.WriteString("\r\n")
		b.Write(d.Body)
		all[i] = b.Bytes()
	}
	return all
}

// fired is how a volley went.
type fired struct {
	took time.Duration
	each []float64 // ms, of every request
}

func (f fired) perSecond() float64 { return float64(len(f.each)) / f.took.Seconds() }

// fire sends every shot once over so many kept connections, each with one
// request under way, and fails on any answer but 202.
func (s shots) fire(ctx context.Context, address string, connections int) (fired, error) {
	var next atomic.Int64
	var wg sync.WaitGroup
	each := make([][]float64, connections)
	errs := make([]error, connections)
	began := time.Now()
	for i := range connections {
		wg.Go(func() { each[i], errs[i] = s.shoot(ctx, address, &next) })
	}
	wg.Wait()
	f := fired{took: time.Since(began)}
	for _, e := range each {
		f.each = append(f.each, e...)
	}
	return f, errors.Join(errs...)
}

func (s shots) shoot(ctx context.Context, address string, next *atomic.Int64) ([]float64, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	in := bufio.NewReader(conn)
	var each []float64
	for {
		i := int(next.Add(1)) - 1
		if i >= len(s) {
			return each, nil
		}
		began := time.Now()
		if _, err := conn.Write(s[i]); err != nil {
			return each, err
		}
		status, err := readAnswer(in)
		if err != nil {
			return each, err
		}
		if status != http.StatusAccepted {
			return each, fmt.Errorf("webhook %d was answered %d", i, status)
		}
		each = append(each, millis(time.Since(began)))
	}
}

// readAnswer reads one answer that states its length, as Echo's do.
func readAnswer(in *bufio.Reader) (status int, err error) {
	line, err := in.ReadSlice('\n')
	if err != nil {
		return 0, err
	}
	if len(line) < 12 {
		return 0, errors.New("no HTTP answer")
	}
	if status, err = strconv.Atoi(string(line[9:12])); err != nil {
		return 0, err
	}
	length := -1
	for {
		if line, err = in.ReadSlice('\n'); err != nil {
			return 0, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(": ")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(value)); err != nil {
				return 0, err
			}
		}
	}
	if length < 0 {
		return 0, errors.New("the answer does not state its length")
	}
	_, err = in.Discard(length)
	return status, err
}
