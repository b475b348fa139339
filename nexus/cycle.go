package nexus

import "time"

// Cycle is one turn of the engine, told to those who watch after its plan was applied.
type Cycle struct {
	Number uint64 `json:"number"` // from 1
	Delta  Delta  `json:"delta"`  // what it began with
	Plan   Plan   `json:"plan"`   // as applied
	// Dropped are the jobs whose decisions were not carried out, because their basis moved meanwhile.
	Dropped []string `json:"dropped,omitempty"`
	// Waiting is how many jobs wait after the plan.
	Waiting int           `json:"waiting"`
	Took    time.Duration `json:"took"`
}
