// Stamp is the smallest worker: the first thing it does is to look at the clock, then it appends the time, in
// nanoseconds since 1970, as one line to the file it is given.
package main

import (
	"fmt"
	"os"
	"time"
)

func main() {
	now := time.Now().UnixNano()
	file, err := os.OpenFile(os.Args[1], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = fmt.Fprintf(file, "%d\n", now) // one write: the lines of several workers do not mix
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}
