package train

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"

	"ainexus.io/c10d"
	"ainexus.io/train/collective"
)

// join connects the ranks through the store at MASTER_ADDR:MASTER_PORT and returns what ends the use of the store.
func join(ctx context.Context, opts Options, env Env, log *slog.Logger) (*collective.Group, func(), error) {
	if env.WorldSize == 1 {
		group, err := collective.Join(ctx, collective.Config{Size: 1})
		return group, func() {}, err
	}
	ctx, cancel := context.WithTimeout(ctx, opts.JoinTimeout)
	defer cancel()
	store, closeStore, err := openStore(ctx, env)
	if err != nil {
		return nil, nil, err
	}
	host, err := reachableAt(env)
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	prefix, err := keyPrefix(ctx, store, env)
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	config := collective.Config{
		Rank: env.Rank, Size: env.WorldSize, Store: store, Host: host, Timeout: opts.Timeout, Prefix: prefix, Log: log,
	}
	if opts.Carrier != nil {
		config.Carrier = func() (collective.Carrier, error) { return opts.Carrier(env.LocalRank, env.LocalWorldSize) }
	}
	group, err := collective.Join(ctx, config)
	if err != nil {
		closeStore()
		return nil, nil, err
	}
	return group, closeStore, nil
}

// keyPrefix keeps groups on one store apart: those of rounds, since some launchers keep a store for all of them, and
// those of a script that calls Run again.
func keyPrefix(ctx context.Context, store *c10d.Client, env Env) (string, error) {
	round := fmt.Sprintf("nexus/train/%s/%d/", env.RunID, env.Round)
	run, err := store.Add(ctx, fmt.Sprintf("%sruns/%d", round, env.Rank), 1)
	if err != nil {
		return "", fmt.Errorf("asking the store: %w", err)
	}
	return fmt.Sprintf("%s%d/", round, run), nil
}

// openStore dials the store. Where nobody serves it, rank 0 does.
func openStore(ctx context.Context, env Env) (*c10d.Client, func(), error) {
	address := net.JoinHostPort(env.MasterAddr, strconv.Itoa(env.MasterPort))
	closeServer := func() {}
	if env.Rank == 0 && !env.StoreServed {
		server, err := c10d.Listen(listenAddress(env), c10d.ServerOptions{})
		if err != nil {
			return nil, nil, fmt.Errorf("serving the store for the other ranks: %w", err)
		}
		closeServer = func() { server.Close() }
	}
	client, err := c10d.Dial(ctx, address, c10d.ClientOptions{})
	if err != nil {
		closeServer()
		return nil, nil, fmt.Errorf("reaching the store at MASTER_ADDR:MASTER_PORT %s: %w", address, err)
	}
	return client, func() { client.Close(); closeServer() }, nil
}

// listenAddress is every address of this machine, unless all ranks are on it.
func listenAddress(env Env) string {
	host := ""
	if ip := net.ParseIP(env.MasterAddr); env.MasterAddr == "localhost" || ip != nil && ip.IsLoopback() {
		host = env.MasterAddr
	}
	return net.JoinHostPort(host, strconv.Itoa(env.MasterPort))
}

// reachableAt returns the address of this machine that the other ranks can reach: the one that packets to the master
// leave from. The master itself may be told a loopback address by /etc/hosts; then, if there are other machines,
// its first address that is none is taken.
func reachableAt(env Env) (string, error) {
	conn, err := net.Dial("udp", net.JoinHostPort(env.MasterAddr, strconv.Itoa(env.MasterPort))) // sends nothing
	if err != nil {
		return "", fmt.Errorf("finding the way to MASTER_ADDR: %w", err)
	}
	defer conn.Close()
	local := conn.LocalAddr().(*net.UDPAddr)
	alone := cmp.Or(env.LocalWorldSize, env.WorldSize) == env.WorldSize
	if !local.IP.IsLoopback() || alone {
		return local.IP.String(), nil
	}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return "", err
	}
	for _, a := range addresses {
		if network, ok := a.(*net.IPNet); ok && network.IP.IsGlobalUnicast() {
			return network.IP.String(), nil
		}
	}
	return "", errors.New("MASTER_ADDR is a loopback address, there are ranks on other machines, and this one has no other address")
}
