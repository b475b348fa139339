// Package cli is the command line: one file per command. Flags, environment and exit codes end here; every other room
// takes values.
//
// [Main] looks at the first word. The verbs that a daemon or an agent starts, and `launch`, are run at once, without
// building the tree of commands: each of them is a process that somebody waits for. The others are cobra commands
// that find a daemon ([program.connect], [program.ensure]), ask it through [api.Client] and print the answer.
//
// Whatever comes from a job (its name, its output, its reasons) passes through clean before it reaches the
// terminal, so that no job can forge a line. Errors are "error: ..." and, where there is one, "hint: ...", on stderr.
// docs/cli.md lists verbs, columns and exit codes.
package cli
