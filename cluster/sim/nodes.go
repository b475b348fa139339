package sim

import (
	"fmt"

	"ainexus.io/nexus"
)

// Machine makes a Ready node with equal GPUs, for a start: all of one NVLink island, nobody measuring what
// is free.
func Machine(name string, cpus int, memory nexus.MiB, gpus int, model string, gpuMemory nexus.MiB) nexus.Node {
	n := nexus.Node{Name: name, State: nexus.Ready, CPU: nexus.CPU(cpus * 1000), Memory: memory}
	for i := range gpus {
		n.GPUs = append(n.GPUs, nexus.GPU{
			Index: i, UUID: fmt.Sprintf("GPU-%s-%d", name, i), Model: model, Memory: gpuMemory, Free: -1,
		})
	}
	return n
}

// SetNode adds a node or changes it. A node that is Lost takes its attempts with it.
func (s *Sim) SetNode(n nexus.Node) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	s.setNode(n)
}

func (s *Sim) setNode(n nexus.Node) {
	s.nodes[n.Name] = n
	s.dirtyNodes[n.Name] = true
	if n.State == nexus.Lost {
		s.loseJobs(n.Name)
	}
	s.stir()
}

// SetState changes the state of a node.
func (s *Sim) SetState(name string, state nexus.NodeState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	s.turn(name, state)
}

// RemoveNode takes a node away for good, with its attempts.
func (s *Sim) RemoveNode(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.act()
	delete(s.nodes, name)
	s.dirtyNodes[name] = true
	s.loseJobs(name)
	s.stir()
}

// loseJobs ends the attempts that had a seat on a node: a gang is whole or absent.
func (s *Sim) loseJobs(node string) {
	for _, id := range s.on(node) {
		s.end(s.jobs[id], nexus.CauseNode, -1)
	}
}
