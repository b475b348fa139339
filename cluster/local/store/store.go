package store

import (
	"cmp"
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"ainexus.io/nexus"
)

//go:embed migrations
var migrations embed.FS

// Record is a job with what only its place needs to run it.
type Record struct {
	Job nexus.Job
	Kept
	// Was is the phase that the record was read with; empty for a new one. It is not stored.
	Was nexus.Phase
}

// Kept is the part of a [Record] that nobody outside of the place sees.
type Kept struct {
	Workdir string            `json:"workdir"` // absolute
	Env     map[string]string `json:"env,omitempty"`
	// Notices say what of the job file has no effect here.
	Notices []string `json:"notices,omitempty"`
	// Losses counts the attempts in a row that ended because their agent or machine went away.
	Losses int `json:"losses,omitempty"`
	// Secrets names the values that were handed in at submit and are kept in memory only.
	Secrets []string `json:"secrets,omitempty"`
}

// Options are a store's settings.
type Options struct {
	// Committed is told of every commit, in order, from the writer. It must be quick, and must not call [Store.Do].
	Committed func([]Record, []nexus.Event)
	// Now is the time that each commit leaves behind, for [Store.Mark] to find; default: time.Now.
	Now func() time.Time
	// Events is how many events are kept; default 100,000.
	Events int
}

// Store is an open file of records. There must be one per file; the caller keeps others out.
type Store struct {
	opts  Options
	path  string
	write *sql.DB
	read  *sql.DB
	conn  *sql.Conn // the writer's own

	changes chan *change
	closing chan struct{}
	closed  sync.Once
	gone    chan struct{} // closed when the writer has ended
	written sync.WaitGroup

	// of the writer
	statements statements
	seq        uint64 // of the last event
}

// Open opens the records at path, creates them or brings them up to date. Trouble is a [nexus.Error].
func Open(ctx context.Context, path string, opts Options) (*Store, error) {
	if opts.Now == nil {
		opts.Now = time.Now
	}
	opts.Events = cmp.Or(opts.Events, 100_000)
	s := &Store{opts: opts, path: path, changes: make(chan *change, groupSize), closing: make(chan struct{}),
		gone: make(chan struct{})}
	if err := s.open(ctx); err != nil {
		return nil, errors.Join(s.trouble(err), s.release())
	}
	s.written.Go(s.writer)
	return s, nil
}

func (s *Store) open(ctx context.Context) error {
	file, err := os.OpenFile(s.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	location := (&url.URL{Scheme: "file", OmitHost: true, Path: s.path}).String()
	if s.write, err = sql.Open("sqlite", location+"?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)"+
		"&_pragma=synchronous(FULL)&_pragma=foreign_keys(1)&_pragma=cache_size(-4000)&_pragma=journal_size_limit(67108864)"); err != nil {
		return err
	}
	s.write.SetMaxOpenConns(1)
	if err := s.migrate(ctx); err != nil {
		return err
	}
	if s.read, err = sql.Open("sqlite", location+"?_pragma=busy_timeout(5000)&_pragma=query_only(1)&_pragma=cache_size(-2000)"); err != nil {
		return err
	}
	s.read.SetMaxOpenConns(4)
	if s.conn, err = s.write.Conn(ctx); err != nil {
		return err
	}
	if err := s.conn.QueryRowContext(ctx, `SELECT coalesce(max(seq), 0) FROM events`).Scan(&s.seq); err != nil {
		return err
	}
	return s.statements.prepare(ctx, s.conn)
}

// migrate brings the tables up to date, and refuses those of a newer release untouched.
func (s *Store) migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	steps, err := goose.NewProvider(goose.DialectSQLite3, s.write, files, goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("reading the migrations: %w", err)
	}
	have, known, err := steps.GetVersions(ctx)
	if err != nil {
		return err
	}
	if have > known {
		return &nexus.Error{Code: nexus.CodeConflict,
			Message: fmt.Sprintf("the records in %s were written by a newer release (version %d, this one knows %d)", s.path, have, known),
			Hint:    "use that release, or another state directory with --state"}
	}
	if have == known {
		return nil
	}
	_, err = steps.Up(ctx)
	return err
}

// Mark reads the time that the last commit left behind; zero when there was none.
func (s *Store) Mark(ctx context.Context) (time.Time, error) {
	var value int64
	err := s.read.QueryRowContext(ctx, `SELECT value FROM marks WHERE name = 'now'`).Scan(&value)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, s.trouble(err)
	}
	return time.Unix(0, value), nil
}

// Close commits what is under way and closes the file. Changes that come later are refused.
func (s *Store) Close() error {
	s.closed.Do(func() { close(s.closing) })
	s.written.Wait()
	return s.release()
}

func (s *Store) release() error {
	var errs []error
	if s.conn != nil {
		s.statements.close()
		errs = append(errs, s.conn.Close())
		s.conn = nil
	}
	if s.read != nil {
		errs = append(errs, s.read.Close())
	}
	if s.write != nil {
		errs = append(errs, s.write.Close())
	}
	return errors.Join(errs...)
}
