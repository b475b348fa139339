// Worker is what the launchers are measured with: a small program that notes when it begins, and lives on or dies as told.
//
//	worker FILE              notes "RANK ROUND NANOSECONDS" in FILE, in one write, and ends
//	worker FILE sleep        notes it and waits for its end
//	worker FILE die DELAY...  waits, too; but as often as there are delays rank 1 notes "die ROUND NANOSECONDS" after that of the
//	                         round and fails
package main

import (
	"fmt"
	"os"
	"strconv"
	"time"
)

func main() {
	if err := work(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
}

func work(args []string) error {
	rank, round := os.Getenv("RANK"), os.Getenv("TORCHELASTIC_RESTART_COUNT")
	if rank == "" {
		rank, round = "0", "0"
	}
	if err := note(args[0], rank, round); err != nil || len(args) == 1 {
		return err
	}
	number, err := strconv.Atoi(round)
	if err != nil {
		return err
	}
	if delays := args[2:]; rank == "1" && number < len(delays) {
		delay, err := time.ParseDuration(delays[number])
		if err != nil {
			return err
		}
		time.Sleep(delay)
		if err := note(args[0], "die", round); err != nil {
			return err
		}
		os.Exit(3)
	}
	time.Sleep(10 * time.Minute)
	return nil
}

func note(file, what, round string) error {
	now := time.Now().UnixNano()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = fmt.Fprintf(f, "%s %s %d\n", what, round, now)
	return err
}
