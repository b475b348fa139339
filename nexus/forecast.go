package nexus

// Forecast is what would become of a job if it were submitted now.
type Forecast struct {
	// Placement is where it would start at once; nil: it would wait.
	Placement *Placement `json:"placement,omitempty"`
	// Evict are the jobs that would be asked to stop for it, by id.
	Evict []Victim `json:"evict,omitempty"`
	// Reserve are the seats that would be kept for it until those have left.
	Reserve []Seat `json:"reserve,omitempty"`
	// Why is why it would wait; nil: it would not.
	Why *Why `json:"why,omitempty"`
	// Members is the size of the array whose first member this is about; 0: it is one job.
	Members int `json:"members,omitempty"`
}

// Victim is a job that would be asked for its seats.
type Victim struct {
	Job  string `json:"job"` // id
	Name string `json:"name,omitempty"`
	User string `json:"user,omitempty"`
	// Nodes is how many nodes it would come back to at once; 0: it would not.
	Nodes int `json:"nodes,omitempty"`
}
