package site

import (
	"fmt"
	"strconv"
	"strings"
)

// Site is where a launcher was started. The zero value is a machine by itself.
type Site struct {
	By      string // who started it, "SLURM" or "OpenMPI"; empty: nobody of whom we know
	Nodes   int    // how many nodes there are; 0: not said
	Rank    int    // this node's, from 0
	Master  string // host of node 0; empty: not said
	RunID   string // the same on all nodes and no others; empty: not said
	Tasks   int    // launchers on this node; 0 and 1: this one
	Task    int    // this launcher's number among them, from 0
	First   bool   // of all launchers of the run this is the one that speaks for them
	Remedy  string // how to start one launcher on each node
	Warning string // what is odd about it, a sentence; empty: nothing
	Problem error  // the environment contradicts itself; nothing but By holds then
}

// Facts are what [Find] needs to know beside the environment.
type Facts struct {
	Hostname string                            // of this machine
	ReadFile func(path string) ([]byte, error) // nil: there are no files
}

func (f Facts) read(path string) string {
	if f.ReadFile == nil || path == "" {
		return ""
	}
	data, err := f.ReadFile(path)
	if err != nil {
		return ""
	}
	return string(data)
}

// Find reads the environment.
func Find(getenv func(string) string, facts Facts) Site {
	for _, starter := range []func(func(string) string, Facts) (Site, error){
		mpirun, // before SLURM: mpirun inside of a SLURM job sees the variables of both
		slurm,
		pmi,
		kubernetes,
	} {
		s, err := starter(getenv, facts)
		if err != nil {
			return Site{By: "environment", Problem: err}
		}
		if s.By != "" || s.Warning != "" {
			return s
		}
	}
	return Site{First: true}
}

// number reads a variable that must be a number from least up, where it is set.
func number(getenv func(string) string, key string, least int) (n int, set bool, err error) {
	text := strings.TrimSpace(getenv(key))
	if text == "" {
		return 0, false, nil
	}
	n, err = strconv.Atoi(text)
	if err != nil || n < least {
		return 0, true, fmt.Errorf("%s is %q, which is no number from %d up", key, text, least)
	}
	return n, true, nil
}

// firstSet is the first of the variables that is set.
func firstSet(getenv func(string) string, keys ...string) string {
	for _, key := range keys {
		if value := getenv(key); value != "" {
			return value
		}
	}
	return ""
}

// numbers reads several variables into what they belong to; those that are not set leave it alone.
func numbers(getenv func(string) string, wanted map[string]*int) error {
	for key, into := range wanted {
		n, set, err := number(getenv, key, 0)
		if err != nil {
			return err
		}
		if set {
			*into = n
		}
	}
	return nil
}
