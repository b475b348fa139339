package launch

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"ainexus.io/launch/site"
)

// settle lets the site answer what the command line and PET_ variables leave open: how many nodes there are, which one this
// is, where they meet and under which id. It changes given, which is by option.
func (i *Invocation) settle(given map[string]string, s site.Site) error {
	if s.Warning != "" && given["nnodes"] == "" {
		i.Notes = append(i.Notes, s.Warning)
	}
	if s.By == "" || given["standalone"] != "" {
		return nil
	}
	several := s.Tasks > 1
	if s.Problem != nil {
		if given["nnodes"] != "" {
			return nil
		}
		return refuse(s.Problem.Error(), "--standalone launches here whatever the environment says, --nnodes and --rdzv-endpoint say it yourself")
	}
	if given["nnodes"] == "" {
		if several {
			return crowded(s)
		}
		if s.Nodes == 0 && (s.By == "Kubernetes" || s.Rank > 0) {
			i.Notes = append(i.Notes, fmt.Sprintf("%s says that this is number %d, but not of how many; --nnodes or PET_NNODES does: this node works alone", s.By, s.Rank))
		}
		if s.Nodes < 2 {
			return nil
		}
		given["nnodes"] = strconv.Itoa(s.Nodes)
	}
	most := given["nnodes"][strings.LastIndexByte(given["nnodes"], ':')+1:]
	if most == "1" {
		return nil
	}
	// Who numbers the nodes himself, or starts several agents on a node, means it.
	if given["node-rank"] == "" && !several && (s.Nodes == 0 || most == strconv.Itoa(s.Nodes)) {
		given["node-rank"] = strconv.Itoa(s.Rank)
	}
	if given["rdzv-endpoint"] == "" && given["master-addr"] == "" {
		if several {
			return crowded(s)
		}
		if s.Master == "" {
			return refuse(fmt.Sprintf("%s started %s nodes, but does not say where the first one is", s.By, most),
				"--rdzv-endpoint HOST, or MASTER_ADDR=HOST in the environment of all, names it")
		}
		given["rdzv-endpoint"] = net.JoinHostPort(strings.Trim(s.Master, "[]"), meetPort)
	}
	if given["rdzv-id"] == "" && s.RunID != "" {
		given["rdzv-id"] = s.RunID
	}
	where := given["rdzv-endpoint"]
	if where == "" {
		where = given["master-addr"]
	}
	i.Notes = append(i.Notes, fmt.Sprintf("%s: this is node %d of %s; they meet at %s", s.By, s.Rank, most, where))
	return nil
}

// crowded refuses several launchers on one node: each would start all workers. One of them says so; the others are silent.
func crowded(s site.Site) error {
	if !s.First {
		return ErrOtherTells
	}
	return refuse(fmt.Sprintf("%s started %d launchers on this node; it takes one, which starts the node's workers itself", s.By, s.Tasks), s.Remedy)
}
