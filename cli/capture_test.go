package cli

import (
	"maps"
	"os"
	"regexp"
	"strings"
	"testing"

	"ainexus.io/nexus"
)

// A job inherits what docs/cli.md lists, as it is where it is submitted, and nothing else.
func TestWhatAJobInherits(t *testing.T) {
	page, err := os.ReadFile("../docs/cli.md")
	if err != nil {
		t.Fatal(err)
	}
	_, told, _ := strings.Cut(string(page), "**What a job inherits**")
	told, _, found := strings.Cut(told, "Everything else")
	if !found {
		t.Fatal("docs/cli.md does not tell what a job inherits")
	}
	listed := regexp.MustCompile(`[A-Z][A-Z_]+`).FindAllString(told, -1)
	listed = append(listed, "http_proxy", "https_proxy", "no_proxy")
	env := map[string]string{"AWS_SECRET_ACCESS_KEY": "x", "CUDA_VISIBLE_DEVICES": "3", "RANK": "7", "LD_PRELOAD": "x", "NEXUS_TOKEN": "x"}
	want := map[string]string{}
	for _, key := range listed {
		env[key], want[key] = "value of "+key, "value of "+key
	}
	p := &program{lookup: func(key string) (string, bool) { v, ok := env[key]; return v, ok }}
	s, err := p.submission(readJob{spec: nexus.Spec{Workdir: "."}, dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if !maps.Equal(s.Env, want) || len(s.Secrets) != 0 {
		t.Errorf("it inherits %v, secrets %v", s.Env, s.Secrets)
	}
}
