// Command nexus runs GPU jobs: see `nexus help`.
package main

import (
	"os"

	"ainexus.io/cli"
)

func main() { os.Exit(cli.Main(os.Args)) }
