package collective_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/train/collective"
)

// Three ranks, here goroutines of one process, meet at a store and add their numbers up. Training scripts get their group
// from package train.
func ExampleAllReduce() {
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		panic(err)
	}
	defer server.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()

	rank := func(rank int) error {
		store, err := c10d.Dial(ctx, server.Addr().String(), c10d.ClientOptions{})
		if err != nil {
			return err
		}
		defer store.Close()
		group, err := collective.Join(ctx, collective.Config{Rank: rank, Size: 3, Store: store})
		if err != nil {
			return err
		}
		defer group.Close()
		data := []float32{float32(rank), 10}
		if err := collective.AllReduce(group, data, collective.Sum); err != nil {
			return err
		}
		if rank == 0 {
			fmt.Println(data)
		}
		return group.Barrier(time.Second)
	}
	var all sync.WaitGroup
	for r := range 3 {
		all.Go(func() {
			if err := rank(r); err != nil {
				fmt.Println("error:", err)
			}
		})
	}
	all.Wait()
	// Output: [3 30]
}
