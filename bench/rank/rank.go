package rank

import (
	"bufio"
	"context"
	_ "embed"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/train/collective"
)

// Verb is the argument that makes a benchmark one rank of ours.
const Verb = "rank"

// Gloo is one rank of PyTorch's gloo as a Python program, driven as [Run]'s is. It is found by PyTorch's environment,
// MASTER_ADDR and so on; where an argument follows, it is the directory of the pipes.
//
//go:embed gloo.py
var Gloo string

// Run is the life of one rank; args are what follows [Verb]: -store ADDRESS, -rank and -size, and -dir where the rank
// reads from the pipe in0, in1 and so on there, and answers through out0, out1 and so on.
func Run(args []string) error {
	flags := flag.NewFlagSet(Verb, flag.ContinueOnError)
	store := flags.String("store", "", "address of the key-value store")
	dir := flags.String("dir", "", "where the pipes are (default: stdin and stdout)")
	number := flags.Int("rank", 0, "this rank")
	size := flags.Int("size", 1, "how many ranks there are")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := c10d.Dial(ctx, *store, c10d.ClientOptions{})
	if err != nil {
		return err
	}
	defer client.Close()
	group, err := collective.Join(ctx, collective.Config{Rank: *number, Size: *size, Store: client, Prefix: "bench/", Timeout: 2 * time.Minute})
	if err != nil {
		return err
	}
	defer group.Close()
	if *dir == "" {
		return obey(group, os.Stdin, os.Stdout)
	}
	in, err := os.Open(filepath.Join(*dir, "in"+strconv.Itoa(*number)))
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(filepath.Join(*dir, "out"+strconv.Itoa(*number)), os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	defer out.Close()
	return obey(group, in, out)
}

func obey(group *collective.Group, in io.Reader, out io.Writer) error {
	fmt.Fprintln(out, "ready")
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		var size, iterations int
		if _, err := fmt.Sscan(lines.Text(), &size, &iterations); err != nil {
			return fmt.Errorf("reading the order %q: %w", lines.Text(), err)
		}
		if iterations == 0 {
			return nil
		}
		times, err := timeAllReduce(group, size, iterations)
		if err != nil {
			return err
		}
		answer := bufio.NewWriter(out)
		for _, t := range times {
			fmt.Fprint(answer, t.Nanoseconds(), " ")
		}
		fmt.Fprintln(answer)
		if err := answer.Flush(); err != nil {
			return err
		}
	}
	return lines.Err()
}

func timeAllReduce(group *collective.Group, size, iterations int) ([]time.Duration, error) {
	data := make([]float32, size/4)
	for i := range data {
		data[i] = float32(group.Rank() + 1)
	}
	// The first one warms up, and shows that the arithmetic is right.
	if err := collective.AllReduce(group, data, collective.Sum); err != nil {
		return nil, err
	}
	want := float32(group.Size()*(group.Size()+1)) / 2
	for i, x := range data {
		if x != want {
			return nil, fmt.Errorf("element %d of the sum is %v, not %v", i, x, want)
		}
	}
	clear(data) // sums of sums would leave the range of numbers
	times := make([]time.Duration, iterations)
	for i := range times {
		begin := time.Now()
		if err := collective.AllReduce(group, data, collective.Sum); err != nil {
			return nil, err
		}
		times[i] = time.Since(begin)
	}
	return times, nil
}
