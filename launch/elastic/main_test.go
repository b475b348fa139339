package elastic

import (
	"flag"
	"os"
	"testing"
)

// TestMain plays the same random worlds every time; -rapid.seed=N plays others, and 0 new ones.
func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "rapid.seed" })
	if !chosen {
		flag.Set("rapid.seed", "29400")
	}
	os.Exit(m.Run())
}

// Of the runs that TestNoHealthyRunOf200IsBlamed and TestASlowRankIsFoundAndCleared play.
var (
	paceSeed = flag.Uint64("pace.seed", 29400, "seed of the runs in which ranks are slow or well")
	paceRuns = flag.Int("pace.runs", 200, "how many runs in which ranks are slow or well are played")
)
