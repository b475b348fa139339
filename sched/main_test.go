package sched

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"testing"
)

// TestMain has the laws drawn from one seed, so that whether a change lands is not a matter of luck: SEED, else 1. New ones are
// looked for by `make test-nightly`, which says SEED=0, and with -rapid.seed. A seed that fails is a bug to mend, with a
// test that shows it.
func TestMain(m *testing.M) {
	flag.Parse()
	said := false
	flag.Visit(func(f *flag.Flag) { said = said || f.Name == "rapid.seed" })
	if !said {
		seed := cmp.Or(os.Getenv("SEED"), "1")
		if err := flag.Set("rapid.seed", seed); err != nil {
			fmt.Fprintf(os.Stderr, "SEED=%s: %v\n", seed, err)
			os.Exit(2)
		}
	}
	os.Exit(m.Run())
}
