package onkube

import (
	"fmt"
	"strings"

	"ainexus.io/nexus"
)

// Where pods are kept from one another those of a job on several nodes are let to one another, also those of one that an earlier
// controller began which knew of no such namespace. A job on one node needs no way. The policy goes with its job.
func podsOfAJobMeet(c cluster) {
	policies := func() string {
		return strings.TrimSpace(c.plane.Kubectl("get", "networkpolicies", "--namespace="+c.space, "-o", "jsonpath={range .items[*]}{.metadata.name} {.metadata.ownerReferences[0].kind}/{.metadata.ownerReferences[0].name};{end}"))
	}
	c.job("gang", 2, 4)
	c.phase("gang", nexus.Running)
	if list := policies(); list != "" {
		c.t.Errorf("where nothing is said there is %s", list)
	}
	if err := c.controller.Stop(); err != nil {
		c.t.Fatal(err)
	}
	opts := storyOptions(c.space)
	opts.Policed = []string{"elsewhere", c.space}
	startController(c.t, c.plane, opts, nil)
	c.job("single", 1, 4)
	c.phase("single", nexus.Running)
	c.plane.Until("a way for the gang", func() error {
		return differs(policies(), "gang-workers NexusJob/gang;")
	})
	c.agents.Open("gang")
	c.agents.Open("single")
	c.phase("gang", nexus.Succeeded)
	c.phase("single", nexus.Succeeded)
	c.plane.Kubectl("delete", "nexusjob", "gang", "--namespace="+c.space)
	c.plane.Until("the end of the way", func() error { return differs(policies(), "") })
}

// differs says how something is not as it should be.
func differs(is, want string) error {
	if is != want {
		return fmt.Errorf("it is %q and not %q", is, want)
	}
	return nil
}
