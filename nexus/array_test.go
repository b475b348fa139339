package nexus

import (
	"fmt"
	"strings"
	"testing"
)

func TestArraysAreReadAsSlurmWritesThem(t *testing.T) {
	for text, want := range map[string]string{
		"0-3": "[0 1 2 3] of 0", "5": "[5] of 0", "0,3,7": "[0 3 7] of 0", "0-10:2": "[0 2 4 6 8 10] of 0", "0-9:4%2": "[0 4 8] of 2",
		"7, 1-2%1": "[1 2 7] of 1", "3-3:5": "[3] of 0",
	} {
		var a Array
		if err := a.UnmarshalText([]byte(text)); err != nil {
			t.Errorf("%s: %v", text, err)
			continue
		}
		if got := fmt.Sprint(a.Indices(), " of ", a.AtOnce); got != want {
			t.Errorf("%s is %s, not %s", text, got, want)
		}
		var again Array
		if err := again.UnmarshalText([]byte(a.String())); err != nil || again.String() != a.String() {
			t.Errorf("%s is written as %s, which reads as %s, %v", text, a, again, err)
		}
	}
	long := strings.Repeat("1,", 3000) + "1"
	for _, text := range []string{"", "a", "5-1", "0-3%0", "0-3%", "0-3%x", "1,1", "0-3,2", "0-3:0", "3:2", "-1", "0--3", "0-10000", "1000000", "0-1,", long} {
		var a Array
		if err := a.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is taken as %v", text, a.Indices())
		} else if len(err.Error()) > 200 {
			t.Errorf("%d characters to say that %.20q is wrong", len(err.Error()), text)
		}
	}
}
