package site

import (
	"fmt"
	"strings"
)

// kubernetes reads what the pods of an indexed Job know. Their index is the node's rank. How many there are Kubernetes does
// not tell a pod, so NEXUS_NODES does, or the command line. Where the Job has a headless Service, pod i has the name
// <job>-<i>.<service>, so that the first one's follows from our own.
func kubernetes(getenv func(string) string, facts Facts) (Site, error) {
	rank, indexed, err := number(getenv, "JOB_COMPLETION_INDEX", 0)
	if err != nil || !indexed {
		return Site{}, err
	}
	s := Site{By: "Kubernetes", Rank: rank, First: rank == 0, Master: getenv("MASTER_ADDR")}
	if s.Nodes, _, err = number(getenv, "NEXUS_NODES", 1); err != nil {
		return Site{}, err
	}
	if s.Nodes > 0 && rank >= s.Nodes {
		return Site{}, fmt.Errorf("JOB_COMPLETION_INDEX is %d, but NEXUS_NODES is %d", rank, s.Nodes)
	}
	job, ok := strings.CutSuffix(facts.Hostname, fmt.Sprint("-", rank))
	if !ok {
		return s, nil
	}
	s.RunID = "job-" + job
	if s.Master == "" {
		if domain := ownDomain(facts); domain != "" {
			s.Master = job + "-0." + domain
		}
	}
	return s, nil
}

// ownDomain is what follows this pod's name in its full name, which the kubelet writes into /etc/hosts where the pod has a
// subdomain: "<service>.<namespace>.svc.cluster.local".
func ownDomain(facts Facts) string {
	for line := range strings.Lines(facts.read("/etc/hosts")) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		for _, name := range words[min(1, len(words)):] {
			if domain, ok := strings.CutPrefix(name, facts.Hostname+"."); ok && strings.Contains(domain, ".svc") {
				return domain
			}
		}
	}
	return ""
}
