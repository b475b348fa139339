package c10d_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"ainexus.io/c10d"
)

// A store on a free port, and a Go rank that uses it. PyTorch ranks join the same store with MASTER_ADDR=127.0.0.1,
// MASTER_PORT the server's port and TORCHELASTIC_USE_AGENT_STORE=True, and find the same keys.
func Example() {
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	rank, err := c10d.Dial(ctx, server.Addr().String(), c10d.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer rank.Close()

	if err := rank.Set(ctx, "address/0", []byte("10.0.0.7:4711")); err != nil {
		log.Fatal(err)
	}
	address, err := rank.Get(ctx, "address/0")
	if err != nil {
		log.Fatal(err)
	}
	arrived, err := rank.Add(ctx, "arrived", 1)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("rank 0 is at %s; %d arrived\n", address, arrived)
	// Output: rank 0 is at 10.0.0.7:4711; 1 arrived
}

// A wait ends with its context, and the client goes on.
func ExampleClient_Wait() {
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer server.Close()
	ctx := context.Background()
	client, err := c10d.Dial(ctx, server.Addr().String(), c10d.ClientOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	patience, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
	defer cancel()
	fmt.Println(client.Wait(patience, "rank 7"))
	there, err := client.Check(ctx, "rank 7")
	fmt.Println(there, err)
	// Output:
	// wait for "rank 7": context deadline exceeded
	// false <nil>
}
