package nexus

import "time"

// ManifestSuffix is what a checkpoint's manifest is called: P and P.nexus.json.
const ManifestSuffix = ".nexus.json"

// EpochFile holds the newest epoch of a checkpoint directory; a writer with an older one is refused.
const EpochFile = "EPOCH"

// Manifest makes a checkpoint valid. It is fsynced and renamed into place last.
type Manifest struct {
	Epoch     Epoch          `json:"epoch"`
	Step      int64          `json:"step"`
	WorldSize int            `json:"world_size"`
	Files     []ManifestFile `json:"files"`
}

// ManifestFile is one file of a checkpoint. Name is relative to the directory that the checkpoint is in. The Python package also
// writes the CRC-32 of pieces there, for itself to load by; SHA256 says all that is said here.
type ManifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

// Saved is a checkpoint as it was found.
type Saved struct {
	Path      string    `json:"path"`
	Step      int64     `json:"step"`
	Epoch     Epoch     `json:"epoch"`
	WorldSize int       `json:"world_size"`
	Size      int64     `json:"size"` // bytes
	At        time.Time `json:"at"`   // when it was finished
	Valid     bool      `json:"valid"`
	Compared  bool      `json:"compared"`        // its checksums were; else only its sizes
	Wrong     string    `json:"wrong,omitempty"` // why it is not valid
}

// Ack is what rank 0 writes to $NEXUS_ACK_FILE when a stop found a checkpoint saved.
type Ack struct {
	Attempt string `json:"attempt"` // NEXUS_ATTEMPT: "<job id>/<attempt>"
	Step    int64  `json:"step"`
	Path    string `json:"path"`
}

// Progress is what a rank's step() leaves in its $NEXUS_PROGRESS_FILE.
type Progress struct {
	Rank       int                `json:"rank"`
	Step       int64              `json:"step"`
	TotalSteps int64              `json:"total_steps,omitempty"` // 0: unknown
	Epoch      int                `json:"epoch,omitempty"`
	Time       float64            `json:"time"` // unix seconds
	Loss       *float64           `json:"loss,omitempty"`
	Metrics    map[string]float64 `json:"metrics,omitempty"` // "samples_per_s", "accuracy", ...
	// Own is how many seconds the rank works in a step before it waits in the step's collectives: the median of the steps since
	// the file was last replaced. 0: unknown.
	Own float64 `json:"own_seconds,omitempty"`
}
