package onkube

import (
	"fmt"
	"strings"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
)

// Who waits is told his place in line and, where those ahead of him have said when they end, by when he starts; who starts has
// no place any more. Where nobody said anything, what jobs that are over ran is what tells,
// also to a controller that comes later.
func whoWaitsIsToldUntilWhen(c cluster) {
	c.job("long", 2, 8, "  max_duration: 2h")
	long := c.phase("long", nexus.Running)
	c.job("next", 2, 8, "  max_duration: 1h")
	ends := long.Status.Started.Add(2 * time.Hour)
	o := c.until("next", "told by when it starts", func(o object) bool { return o.Status.Line != nil && !o.Status.Line.StartsBy.IsZero() })
	if l := o.Status.Line; l.Place != 1 || l.StartsBy.Sub(ends).Abs() > time.Minute || l.AsOf.Before(long.Status.Started.Truncate(time.Second)) {
		c.t.Errorf("it stands %+v, and the other ends at %s", l, ends)
	}
	c.job("then", 1, 8)
	c.until("then", "told its place", func(o object) bool { return o.Status.Line != nil && o.Status.Line.Place == 2 })
	c.agents.Open("long")
	if o = c.phase("next", nexus.Running); o.Status.Line != nil {
		c.t.Errorf("it runs and stands %+v", o.Status.Line)
	}
	c.agents.Open("next")
	c.phase("then", nexus.Running)
	c.agents.Open("then")
	c.phase("then", nexus.Succeeded)

	const lessons = 22 // sixteen, of which older ones count for less; told are eight at a time
	var list strings.Builder
	for i := range lessons {
		name := fmt.Sprintf("lesson-%d", i)
		c.agents.Play(name, kubetest.Script{})
		fmt.Fprintf(&list, "---\napiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: %s}\nspec: {run: x, resources: {gpus: 1}}\n", name)
	}
	c.document(list.String())
	for i := range lessons {
		c.phase(fmt.Sprintf("lesson-%d", i), nexus.Succeeded)
	}
	c.job("silent", 2, 8)
	c.phase("silent", nexus.Running)
	c.job("guessed", 2, 8)
	guessed := func(o object) bool {
		return o.Status.Line != nil && o.Status.Line.Expected != nil && !o.Status.Line.Expected.Latest.Before(o.Status.Line.Expected.Likely)
	}
	c.until("guessed", "told when it is expected to start", guessed)
	if err := c.controller.Stop(); err != nil {
		c.t.Fatal(err)
	}
	c.controller = startController(c.t, c.plane, storyOptions(c.space), c.watched)
	c.job("later", 2, 8)
	c.until("later", "told by another controller when it is expected to start", guessed)
}
