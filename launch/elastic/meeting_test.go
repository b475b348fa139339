package elastic

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

// The stories in testdata: lines "at SECONDS VERB ARGUMENTS", and after "---" what the world looked like.
func TestStories(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatal("there are no stories", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			script, want, _ := strings.Cut(string(data), "---\n")
			w := tell(t, script)
			if got := w.log.String(); got != want {
				if os.Getenv("UPDATE") == "1" {
					os.WriteFile(file, []byte(script+"---\n"+got), 0o644)
				}
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
			for _, law := range w.broken {
				t.Error(law)
			}
		})
	}
}

// tell plays a story.
func tell(t *testing.T, script string) *world {
	t.Helper()
	set := Defaults()
	set.Restart = nexus.Restart{Max: 3, On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang}}
	set.Backoff, set.Budget = DefaultBackoff(), 3
	w := newWorld(set)
	for line := range strings.Lines(script) {
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if words[0] == "nodes" {
			w.set.Min, _ = strconv.Atoi(words[1])
			w.set.Max, _ = strconv.Atoi(words[2])
			continue
		}
		if words[0] == "takeover" {
			w.set.Takeover = true
			continue
		}
		if words[0] == "jointimeout" {
			w.set.JoinTimeout, _ = time.ParseDuration(words[1])
			continue
		}
		at, err := strconv.ParseFloat(words[1], 64)
		if words[0] != "at" || err != nil {
			t.Fatalf("what does %q mean?", line)
		}
		w.run(time.Duration(at * float64(time.Second)))
		for _, name := range words[3:] {
			switch words[2] {
			case "start":
				name, rank, wants := strings.Cut(name, "=")
				want := 0
				if wants {
					want, _ = strconv.Atoi(rank)
					want++
				}
				w.start(name, want)
			case "kill":
				w.kill(name)
			case "fail":
				w.fail(name)
			case "succeed":
				w.succeed(name)
			case "leave":
				w.leave(name)
			case "split", "heal":
			default:
				t.Fatalf("what does %q mean?", line)
			}
		}
		switch words[2] {
		case "split": // the named ones are cut off from the others
			sides := map[string]int{}
			for _, name := range words[3:] {
				sides[name] = 1
			}
			w.say("%s cut off", strings.Join(words[3:], " "))
			w.split(sides)
		case "heal":
			w.say("the network is whole again")
			w.split(map[string]int{})
		}
	}
	return w
}
