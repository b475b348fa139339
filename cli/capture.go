package cli

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// inherited are the variables that a job takes from where it was submitted. Everything else is said in its env.
func inherited() []string {
	return []string{
		"PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "LD_LIBRARY_PATH", "PYTHONPATH", "HOME", "USER", "LANG", "TMPDIR",
		"SSL_CERT_FILE", "SSL_CERT_DIR",
		"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
		"GOPATH", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOFLAGS",
	}
}

// submission is the job with what it inherits: directory, environment, and the values of secrets by name.
func (p *program) submission(job readJob) (api.Submission, error) {
	s := api.Submission{Spec: job.spec, Dir: job.dir, Env: map[string]string{}}
	for _, key := range inherited() {
		if value, ok := p.lookup(key); ok {
			s.Env[key] = value
		}
	}
	var missing nexus.Errors
	for _, key := range slices.Sorted(maps.Keys(job.spec.Env)) {
		value := job.spec.Env[key]
		name, ok := strings.CutPrefix(value.From, "env:")
		if !ok {
			continue
		}
		secret, ok := p.lookup(name)
		if !ok {
			missing = append(missing, &nexus.Error{Code: nexus.CodeInvalid, Field: "env." + key,
				Message: "env." + key + " takes its value from the variable " + name + ", which is not set",
				Hint:    "export " + name + ", or take the value from: file:PATH"})
			continue
		}
		if s.Secrets == nil {
			s.Secrets = map[string]string{}
		}
		s.Secrets[name] = secret
	}
	if e := p.lacksWorkdir(job); e != nil {
		missing = append(missing, e)
	}
	if missing != nil {
		return s, &exit{code: exitUsage, err: missing}
	}
	return s, nil
}

// lacksWorkdir looks whether the working directory is there, where jobs run on this machine.
func (p *program) lacksWorkdir(job readJob) *nexus.Error {
	dir := job.spec.Workdir
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(job.dir, dir)
	}
	info, err := os.Stat(dir)
	_, cluster, _ := p.cluster() // that it cannot be told is told by who connects
	if cluster && job.spec.Code == "" || p.remote() != "" || err == nil && info.IsDir() {
		return nil
	}
	return &nexus.Error{Code: nexus.CodeInvalid, Field: "workdir", Message: "the working directory " + dir + " is not there",
		Hint: "workdir is relative to the directory of the job file"}
}
