package proc

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestSanitize(t *testing.T) {
	for _, test := range []struct{ name, line, want string }{
		{"a plain line", "loss 0.3\tstep 7", "loss 0.3\tstep 7"},
		{"colours stay and end", "\x1b[1;31mred", "\x1b[1;31mred\x1b[0m"},
		{"true colour", "\x1b[38;2;1;2;3mx\x1b[0m", "\x1b[38;2;1;2;3mx\x1b[0m\x1b[0m"},
		{"cursor and screen", "\x1b[2J\x1b[1;1Hforged", "forged"},
		{"window title", "\x1b]0;owned\aok", "ok"},
		{"title ended by ST", "\x1b]0;owned\x1b\\ok", "ok"},
		{"device control", "\x1bPq#0\x1b\\ok", "ok"},
		{"character sets", "\x1b(0ok", "ok"},
		{"private SGR is none", "\x1b[?1mok\x1b[>4m", "ok"},
		{"broken off", "ok\x1b[31", "ok"},
		{"a lone escape", "ok\x1b", "ok"},
		{"carriage return", "10%\r20%\r30%", "30%"},
		{"carriage return at the end", "100%\r", "100%"},
		{"newline", "a\nb", "a b"},
		{"backspace, bell, delete", "a\bb\ac\x7fd", "abcd"},
		{"C1 control", "a\u009b31mb", "a31mb"},
		{"not UTF-8", "a\xffb", "a\ufffdb"},
		{"right to left override", "a\u202eb\u2066c", "abc"},
		{"line separator", "a\u2028b", "a b"},
		{"umlauts and emoji", "größer 🚀", "größer 🚀"},
	} {
		if got := Sanitize(test.line); got != test.want {
			t.Errorf("%s: %q, want %q", test.name, got, test.want)
		}
	}
}

func FuzzSanitize(f *testing.F) {
	for _, seed := range []string{"\x1b[31mred\x1b[0m", "\x1b]0;t\a", "a\rb\nc", "\xff\xfe", "\x1b[", "\u009b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		got := Sanitize(line)
		if plain([]byte(line)) && got != line {
			t.Fatalf("%q is not plain: %q", line, got)
		}
		if !utf8.ValidString(got) {
			t.Fatalf("%q is not UTF-8", got)
		}
		rest := got
		for {
			before, after, found := strings.Cut(rest, "\x1b")
			for _, r := range before {
				if unicode.IsControl(r) && r != '\t' {
					t.Fatalf("%q holds %q", got, r)
				}
			}
			if !found {
				return
			}
			end := strings.IndexByte(after, 'm')
			if !strings.HasPrefix(after, "[") || end < 0 || strings.Trim(after[1:end], "0123456789;:") != "" {
				t.Fatalf("%q holds an escape sequence that is no colour", got)
			}
			rest = after[end+1:]
		}
	})
}

func TestALogKeepsTheNewest(t *testing.T) {
	for _, files := range []int{1, 2, 4} {
		path := filepath.Join(t.TempDir(), "0.log")
		log, err := OpenLog(path, LogOptions{Size: 100, Files: files, Trouble: func(err error) { t.Error(err) }})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 50 {
			fmt.Fprintf(log, "line %02d.\n", i) // 9 bytes, 11 lines to a file
		}
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
		var all string
		for n := range files {
			text, err := os.ReadFile(Rotated(path, n))
			if err != nil || len(text) > 100 {
				t.Errorf("%d bytes in %s, %v", len(text), Rotated(path, n), err)
			}
			all = string(text) + all
		}
		first := fmt.Sprintf("line %02d.\n", 44-11*(files-1))
		if !strings.HasPrefix(all, first) || !strings.HasSuffix(all, "line 49.\n") || len(all) != 9*(6+11*(files-1)) {
			t.Errorf("%d files: %q", files, all)
		}
		if _, err := os.Stat(Rotated(path, files)); err == nil {
			t.Errorf("there are more than %d files", files)
		}
		if n, err := log.Write([]byte("late")); n != 4 || err != nil {
			t.Errorf("a late write: %d %v", n, err)
		}
	}
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := OpenLog(path, LogOptions{Size: Unbounded})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		log.Write(make([]byte, DefaultLogSize/2))
	}
	log.Close()
	if info, err := os.Stat(path); err != nil || info.Size() != 3*DefaultLogSize/2 {
		t.Errorf("an unbounded log: %v %v", info, err)
	}
}

func TestAFullDiskDoesNotStopTheWriter(t *testing.T) {
	var told []error
	log, err := OpenLog("/dev/full", LogOptions{Size: 100, Trouble: func(err error) { told = append(told, err) }})
	need(t, err == nil, "/dev/full")
	for range 3 {
		if n, err := log.Write([]byte("lost")); n != 4 || err != nil {
			t.Errorf("%d %v", n, err)
		}
	}
	if len(told) != 1 || !errors.Is(told[0], syscall.ENOSPC) {
		t.Errorf("told %v", told)
	}
	if log.lost != int64(3*len("lost")) { // and none of what would have told of it
		t.Errorf("%d bytes are missing", log.lost)
	}
}

// Where a full log cannot be begun anew, and later can, the new file says how much is missing.
func TestALogGoesOnWhereItCan(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "0.log")
	told := 0
	log, err := OpenLog(path, LogOptions{Size: 10, Trouble: func(error) { told++ }})
	if err != nil {
		t.Fatal(err)
	}
	log.Write([]byte("12345678\n"))
	if err := os.Rename(dir, dir+"-away"); err != nil {
		t.Fatal(err)
	}
	log.Write([]byte("lost 1\n"))
	log.Write([]byte("lost 2\n"))
	if err := os.Rename(dir+"-away", dir); err != nil {
		t.Fatal(err)
	}
	log.Write([]byte("kept\n"))
	log.Close()
	text, err := os.ReadFile(path)
	if err != nil || !strings.HasSuffix(string(text), "\n[nexus] 14 bytes are missing here: they could not be written\nkept\n") || told != 1 {
		t.Errorf("%q %v, told %d times", text, err, told)
	}
}

func TestLinesAreCutAndProgressBarsPassBy(t *testing.T) {
	var lines []string
	s := &splitter{emit: func(line []byte, passing bool) {
		lines = append(lines, fmt.Sprintf("%.20s %d %v", line, len(line), passing))
	}}
	s.Write([]byte("one\ntw"))
	s.Write([]byte("o\r\nthree\n\n"))
	s.Write([]byte("1%\r2%\r3%\r")) // one a second is enough
	s.Write([]byte("done\n"))
	s.Write(bytes.Repeat([]byte("x"), 3*lineWidth))
	s.Write([]byte("\nlast"))
	s.flush()
	want := []string{"one 3 false", "two 3 false", "three 5 false", " 0 false", "1% 2 true", "done 4 false",
		fmt.Sprintf("xxxxxxxxxxxxxxxxxxxx %d false", lineWidth+len(" [cut at 64 KiB]")), "last 4 false"}
	if strings.Join(lines, "|") != strings.Join(want, "|") {
		t.Errorf("%q\nwant %q", lines, want)
	}
}

func TestATailKeepsTwentyLines(t *testing.T) {
	var tail Tail
	for i := range 30 {
		tail.Add(fmt.Appendf(nil, "line %d\x1b[2J", i))
	}
	tail.Add(bytes.Repeat([]byte("y"), 1<<20))
	got := tail.Lines()
	if len(got) != 20 || got[0] != "line 11" || len(got[19]) != tailWidth {
		t.Errorf("%d lines, %q ... %d bytes", len(got), got[0], len(got[19]))
	}
}

// gate is a writer that takes nothing until it is opened.
type gate struct {
	open chan struct{}
	mu   sync.Mutex
	got  bytes.Buffer
}

func (g *gate) Write(p []byte) (int, error) {
	<-g.open
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.got.Write(p)
}

func TestATerminalThatStandsStillLosesLinesAndIsTold(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	live := NewLive(g, true, nil)
	line := bytes.Repeat([]byte("z"), 1000)
	for range 2000 { // 2 MB into 256 KiB: a second of patience, then no more waiting
		live.Line("[rank 0] ", line)
	}
	close(g.open)
	if !live.Close(10 * time.Second) {
		t.Fatal("it does not end")
	}
	shown := strings.Count(g.got.String(), "[rank 0] z")
	if shown == 0 || shown == 2000 || !strings.Contains(g.got.String(), fmt.Sprintf("[nexus] %d lines were not shown", 2000-shown)) {
		t.Errorf("%d lines shown, last words %q", shown, g.got.String()[g.got.Len()-100:])
	}
}

func TestAFileGetsEveryLineHoweverSlow(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	live := NewLive(g, false, nil)
	time.AfterFunc(50*time.Millisecond, func() { close(g.open) })
	line := bytes.Repeat([]byte("z"), 1000)
	for range 2000 {
		live.Line("", line)
	}
	live.Close(10 * time.Second)
	if got := strings.Count(g.got.String(), "\n"); got != 2000 {
		t.Errorf("%d lines", got)
	}
}

func TestWhoWaitsForAReaderSaysSoOnce(t *testing.T) {
	g := &gate{open: make(chan struct{})}
	told := make(chan struct{}, 10)
	live := NewLive(g, false, func() {
		told <- struct{}{}
		close(g.open)
	})
	live.stall = time.Millisecond
	for range 2000 {
		live.Line("", bytes.Repeat([]byte("z"), 1000))
	}
	live.Close(10 * time.Second)
	if got := strings.Count(g.got.String(), "\n"); got != 2000 || len(told) != 1 {
		t.Errorf("%d lines, told %d times", got, len(told))
	}
}

func TestAReaderThatLeftStopsNobody(t *testing.T) {
	read, write := io.Pipe()
	read.Close()
	live := NewLive(write, false, nil)
	for range 2000 {
		live.Line("", bytes.Repeat([]byte("z"), 1000))
	}
	if !live.Close(5 * time.Second) {
		t.Error("it does not end")
	}
}

func TestACaptureEndsThoughSomebodyHoldsThePipe(t *testing.T) {
	var tail Tail
	c, err := NewCapture(Sink{Tail: &tail})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(c.File(), "said\nlast words") // nobody closes this end
	c.Wait(0)
	if got := tail.Lines(); len(got) != 2 || got[1] != "last words" {
		t.Errorf("%q", got)
	}
	c.Started()
}

// A worker that writes as fast as it can costs disk, up to a bound, and next to no memory.
func TestAFloodOfOutputTakesBoundedMemory(t *testing.T) {
	name := attemptName(t)
	path := filepath.Join(t.TempDir(), "0.log")
	log, err := OpenLog(path, LogOptions{Size: 8 << 20})
	if err != nil {
		t.Fatal(err)
	}
	var tail Tail
	live := NewLive(io.Discard, false, nil)
	c, err := NewCapture(Sink{Log: log, Tail: &tail, Live: live, Prefix: "[rank 0] "})
	if err != nil {
		t.Fatal(err)
	}
	g := NewGroup(name, nil)
	defer g.Close()
	flood := shell(name, "yes 'a line of output that says little but says it often' | head -c 40000000; echo end; head -c 20000000 /dev/zero")
	flood.Stdout = c.File()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	started, err := g.Start(flood)
	c.Started()
	if err != nil {
		t.Fatal(err)
	}
	<-started[0].Done()
	c.Wait(10 * time.Second)
	runtime.ReadMemStats(&after)
	live.Close(5 * time.Second)
	log.Close()
	if grown := int64(after.HeapSys) - int64(before.HeapSys); grown > 16<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	for _, file := range []string{path, Rotated(path, 1)} {
		if info, err := os.Stat(file); err != nil || info.Size() > 8<<20 {
			t.Errorf("%s: %v %v", file, info.Size(), err)
		}
	}
	if lines := tail.Lines(); len(lines) != 20 || !strings.HasSuffix(lines[18], "end") {
		t.Errorf("%q", lines[len(lines)-2:])
	}
}
