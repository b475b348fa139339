package api

import (
	"encoding/json"
	"time"

	"ainexus.io/nexus"
)

// Prefix is where every route of this version of the API begins. A daemon of another release that has the same
// prefix can be talked to.
const Prefix = "/api/v1"

// maxBody bounds a request: a job file of a megabyte is a mistake.
const maxBody = 1 << 20

// Version tells what answers at the other end.
type Version struct {
	// Version is the daemon's release, as `nexus version` prints it.
	Version string `json:"version"`
	// API is the newest version of the wire that it speaks.
	API string `json:"api"`
	PID int    `json:"pid"`
	// State is the daemon's state directory.
	State string `json:"state"`
	// Addr is the host:port of the page and of the API over TCP; empty where that port could not be had.
	Addr    string    `json:"addr,omitempty"`
	Started time.Time `json:"started"`
	// Automatic says that the daemon ends by itself when it has nothing to do.
	Automatic bool `json:"automatic,omitempty"`
}

// JobList is a page of jobs, newest first.
type JobList struct {
	Jobs []JobView `json:"jobs"`
	// Next is what `before` has to be for the next page; empty when there is none.
	Next string `json:"next,omitempty"`
}

// NodeList is every node of the place.
type NodeList struct {
	Nodes []NodeView `json:"nodes"`
}

// QueueList is every queue of the place.
type QueueList struct {
	Queues []nexus.QueueState `json:"queues"`
}

// QueueChanges tells what became of queues that were applied.
type QueueChanges struct {
	Queues []QueueChange `json:"queues"`
	// Notices say what may not be meant, or has no effect here.
	Notices []string `json:"notices,omitempty"`
}

// QueueChange is one of them.
type QueueChange struct {
	Name   string `json:"name"`
	Change string `json:"change" enum:"created,changed,unchanged,deleted"`
}

// HistoryList is what was had of queues.
type HistoryList struct {
	Since   time.Time            `json:"since"`
	History []nexus.QueueHistory `json:"history"`
}

// queuesBody is queues to apply.
type queuesBody struct {
	Queues []json.RawMessage `json:"queues"`
}

// submitBody is a job file with what the client captured beside it.
type submitBody struct {
	Job     json.RawMessage   `json:"job"`
	Dir     string            `json:"dir,omitempty"`
	Env     map[string]string `json:"env,omitempty"`
	Secrets map[string]string `json:"secrets,omitempty"`
}

// patchBody is what of a job can be changed after its submit.
type patchBody struct {
	Priority string `json:"priority" enum:"low,normal,high,critical" doc:"the new priority"`
}

// CheckpointList is the answer to a request for a job's checkpoints.
type CheckpointList struct {
	Checkpoints []nexus.Saved `json:"checkpoints"`
}
