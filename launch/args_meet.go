package launch

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"time"
)

// meetPort is where agents meet, unless the endpoint names another port.
const meetPort = "29400"

// nodeCount reads "2" and "1:4".
func nodeCount(i *Invocation, value string) error {
	low, high, ranged := strings.Cut(value, ":")
	if !ranged {
		high = low
	}
	least, err := strconv.Atoi(low)
	most, err2 := strconv.Atoi(high)
	if err != nil || err2 != nil || least < 1 || most < least || most > 4096 {
		return fmt.Errorf("%q is neither a number of nodes nor MIN:MAX", value)
	}
	i.Options.Meet.Min, i.Options.Meet.Max = least, most
	return nil
}

func nodeRank(i *Invocation, value string) (err error) {
	i.Options.Meet.Rank, err = count(value)
	return err
}

func endpoint(i *Invocation, value string) error {
	host, number, err := net.SplitHostPort(value)
	if err != nil {
		host, number = strings.Trim(value, "[]"), meetPort
	}
	if number == "" || number == "0" {
		number = meetPort
	}
	if _, err := port(number); err != nil || host == "" || strings.ContainsAny(host, " /") {
		return fmt.Errorf("%q is no HOST or HOST:PORT", value)
	}
	i.Options.Meet.Endpoint = net.JoinHostPort(host, number)
	return nil
}

// meetConf reads "key=value,key=value". The keys are torchrun's, as far as they mean anything here, and ours; times
// are seconds or have a unit.
func meetConf(i *Invocation, value string) error {
	m := &i.Options.Meet
	for pair := range strings.SplitSeq(value, ",") {
		key, text, ok := strings.Cut(strings.TrimSpace(pair), "=")
		if key == "" && !ok {
			continue
		}
		var err error
		switch key {
		case "last_call_timeout":
			m.LastCall, err = seconds(text)
		case "join_timeout", "timeout":
			m.JoinTimeout, err = seconds(text)
		case "read_timeout", "connect_timeout":
			m.ConnectTimeout, err = seconds(text)
		case "heartbeat":
			m.Beat, err = seconds(text)
		case "silence":
			m.Silence, err = seconds(text)
		case "takeover":
			if text != "any" && text != "majority" {
				err = errors.New("it is any or majority")
			}
			m.Takeover = text == "any"
		case "store_value_limit":
			i.Options.Store.Payload, err = bytes(text)
		case "store_key_limit":
			i.Options.Store.Key, err = bytes(text)
		case "store_keys_limit":
			i.Options.Store.Stored, err = atLeastOne(text)
		case "store_memory_limit":
			var n int
			n, err = bytes(text)
			i.Options.Store.Memory = int64(n)
		case "is_host":
			m.IsHost, err = strconv.ParseBool(text)
		case "rank":
			m.Rank, err = count(text)
		case "token_file":
			var data []byte
			data, err = os.ReadFile(text)
			if m.Token = strings.TrimSpace(string(data)); err == nil && m.Token == "" {
				err = errors.New("the file is empty")
			}
		case "close_timeout", "keep_alive_interval", "keep_alive_max_attempt", "store_type", "use_libuv", "protocol":
			i.Notes = append(i.Notes, fmt.Sprintf("--rdzv-conf %s does nothing here", key))
		default:
			err = errors.New("there is no such setting")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
	}
	return nil
}

// seconds reads "30", "0.5" and "500ms".
func seconds(text string) (time.Duration, error) {
	d, err := time.ParseDuration(text)
	if n, err2 := strconv.ParseFloat(text, 64); err2 == nil && n < 1e6 {
		d, err = time.Duration(n*float64(time.Second)), nil
	}
	if err != nil || d <= 0 {
		return 0, fmt.Errorf("%q is no time", text)
	}
	return d, nil
}

// meet decides whether there is a meeting, and where. One node meets nobody, whatever else is given.
func (i *Invocation) meet(given map[string]string) error {
	m := &i.Options.Meet
	_, standalone := given["standalone"]
	if m.Max == 0 {
		m.Min, m.Max = 1, 1
	}
	switch {
	case m.Max == 1 || standalone && m.Min == 1:
		if m.Rank > 0 {
			return refuse(fmt.Sprintf("--node-rank: %d: the only node has rank 0", m.Rank), "--nnodes says how many nodes there are")
		}
		m.Endpoint = ""
		return nil
	case standalone:
		return refuse(fmt.Sprintf("--standalone is one node, --nnodes is %s", given["nnodes"]), "leave one of them out")
	case m.Rank >= m.Max:
		return refuse(fmt.Sprintf("--node-rank %d is not below the number of nodes, %d", m.Rank, m.Max), "")
	case m.Endpoint == "" && i.Options.MasterAddr != "": // as torchrun's static rendezvous
		m.Endpoint = net.JoinHostPort(strings.Trim(i.Options.MasterAddr, "[]"), meetPort)
	case m.Endpoint == "":
		return refuse(fmt.Sprintf("--nnodes %s needs a place to meet", given["nnodes"]), "--rdzv-endpoint HOST[:PORT] names a node that all others can reach")
	}
	return nil
}
