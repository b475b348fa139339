// Package engine turns the wheel: one cycle observes what changed, plans, verifies the plan against what
// changed meanwhile, applies it, and tells those who watch.
//
//	delta := cluster.Changes(ctx, wake)   sleeps until something changes; a burst is gathered into one delta
//	plan  := planner.Step(delta, now)     pure
//	plan   = verify(plan, fresh)          a decision whose basis moved is dropped, not forced
//	cluster.Apply(ctx, plan)              the place acts; what became of it comes back as a delta
//	observer.Observe(cycle)               journal writes it, metrics count it
//
// The engine decides nothing and holds no jobs: it owns the order of these calls, retries with backoff
// when the place fails, and answers why a job waits from the planner's own memory.
package engine
