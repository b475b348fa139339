package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"ainexus.io/c10d"
)

func TestEveryLineHasItsOwnName(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range figures() {
		for _, line := range f.Lines {
			if seen[line.What] {
				t.Errorf("two lines are called %q", line.What)
			}
			seen[line.What] = true
		}
	}
}

// The thin client really does what it counts.
func TestTheThinClientDoesWhatItSays(t *testing.T) {
	s, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	client, err := c10d.Dial(t.Context(), s.Addr().String(), c10d.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	var port int
	if _, err := fmt.Sscanf(s.Addr().String(), "127.0.0.1:%d", &port); err != nil {
		t.Fatal(err)
	}
	for _, operation := range []string{"set", "get", "add"} {
		if rate, err := thinly(t.Context(), port, operation, 160); err != nil || rate <= 0 {
			t.Errorf("%s: %v %v", operation, rate, err)
		}
	}
	for n := range storeClients {
		sum, err := client.Add(t.Context(), fmt.Sprint("counter ", n), 0)
		if err != nil || sum != 160+3 { // one for each connection
			t.Errorf("counter %d is at %d: %v", n, sum, err)
		}
		value, err := client.Get(t.Context(), fmt.Sprint("key of rank ", n))
		if err != nil || len(value) != 64 {
			t.Errorf("rank %d set %q: %v", n, value, err)
		}
	}
}

func TestWhatWorkersNote(t *testing.T) {
	file := filepath.Join(t.TempDir(), "notes")
	if err := os.WriteFile(file, []byte("0 0 5\n1 0 7\ndie 0 9\n3 1 11\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	all, err := stamps(file)
	if err != nil || len(all) != 4 || all[2].what != "die" || all[3].round != 1 || all[1].at.UnixNano() != 7 {
		t.Errorf("%+v %v", all, err)
	}
	if err := os.WriteFile(file, []byte("nonsense\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := stamps(file); err == nil {
		t.Error("read nonsense")
	}
}
