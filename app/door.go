package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// door is a port on which machines ask how a process is. Whoever can reach it may ask; nothing can be changed through it.
type door struct {
	listener net.Listener // nil: the port is not served
	server   *http.Server
	log      *slog.Logger
	serving  sync.WaitGroup
}

// opening is a port to be: where, and what answers there.
type opening struct {
	listen  string // host:port; "" or none: nowhere
	handler http.Handler
}

// openDoors listens at each opening. A port that is taken is an error: a probe that is sent there would ask somebody else.
func openDoors(log *slog.Logger, list ...opening) ([]*door, error) {
	var doors []*door
	for _, o := range list {
		d := &door{log: log, server: &http.Server{Handler: o.handler, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
			WriteTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10, ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelDebug)}}
		doors = append(doors, d)
		if o.listen == "" || o.listen == noListen {
			continue
		}
		var err error
		if d.listener, err = net.Listen("tcp", o.listen); err != nil {
			for _, open := range doors {
				err = errors.Join(err, open.stop())
			}
			return nil, fmt.Errorf("listening for probes and scrapes: %w", err)
		}
	}
	return doors, nil
}

func (d *door) addr() string {
	if d.listener == nil {
		return ""
	}
	return d.listener.Addr().String()
}

// start answers. It returns at once.
func (d *door) start() {
	if d.listener == nil {
		return
	}
	d.serving.Go(func() {
		if err := d.server.Serve(d.listener); !errors.Is(err, http.ErrServerClosed) {
			d.log.Error("a port is not served any more", "address", d.addr(), "error", err)
		}
	})
}

// stop lets requests end, for a while.
func (d *door) stop() error {
	if d.listener == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	err := d.server.Shutdown(ctx)
	if closing := d.listener.Close(); !errors.Is(closing, net.ErrClosed) { // it is closed already where it was served
		err = errors.Join(err, closing)
	}
	d.serving.Wait()
	return err
}

// probes answers /health always, and /ready with how things stand.
func probes(standing func() (ready bool, words string)) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "well") })
	mux.HandleFunc("GET /ready", func(w http.ResponseWriter, _ *http.Request) {
		if ready, words := standing(); ready {
			say(w, http.StatusOK, "ready: "+words)
		} else {
			say(w, http.StatusServiceUnavailable, "not ready: "+words)
		}
	})
	return mux
}

// metricsOnly answers scrapes.
func metricsOnly(scrape http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", scrape)
	return mux
}

func say(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(code)
	_, _ = io.WriteString(w, text+"\n") // whoever asked has gone
}
