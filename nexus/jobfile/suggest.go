package jobfile

import (
	"reflect"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"ainexus.io/nexus"
)

// synonyms are the words of other systems, folded, and what they are called here.
var synonyms = map[string]string{
	"command": "run", "cmd": "run", "args": "run", "script": "run", "entrypoint": "run", "exec": "run", "program": "run",
	"gpu": "resources.gpus", "ngpus": "resources.gpus", "numgpus": "resources.gpus", "gpucount": "resources.gpus",
	"gpuspernode": "resources.gpus", "accelerators": "resources.gpus", "devices": "resources.gpus",
	"vram": "resources.gpu_memory", "gpumem": "resources.gpu_memory", "gpumemorymb": "resources.gpu_memory",
	"gputype": "resources.gpu_model", "mem": "resources.memory", "ram": "resources.memory", "memorylimit": "resources.memory",
	"cpus": "resources.cpu", "cores": "resources.cpu", "cpuspertask": "resources.cpu", "shmsize": "resources.shm",
	"ntasks": "workers", "nproc": "workers", "nprocpernode": "workers", "processes": "workers", "worldsize": "workers",
	"nnodes": "nodes", "numnodes": "nodes", "replicas": "nodes", "partition": "queue", "jobname": "name", "jobtype": "type",
	"timeout": "max_duration", "walltime": "max_duration", "time": "max_duration", "deadline": "max_duration",
	"retries": "restart.max", "maxretries": "restart.max", "maxrestarts": "restart.max", "backofflimit": "restart.max",
	"environment": "env", "envs": "env", "cwd": "workdir", "dir": "workdir", "workingdir": "workdir", "chdir": "workdir",
	"tags": "labels", "container": "image", "mounts": "volumes", "checkpointpath": "checkpoint.path", "graceperiod": "checkpoint.grace",
}

// unknown blames a field that does not exist, with what may have been meant.
func (d *document) unknown(key *yaml.Node, path string, names []string, t reflect.Type) {
	name := key.Value
	text := "unknown field " + quote(name)
	if path != "" {
		text += " under " + path
	}
	like := nearest(name, names)
	if like != "" {
		d.meant[join(path, like)] = true
	} else if t != nil && !d.other {
		like = elsewhere(name)
		d.meant[like] = true
	}
	hint := meant(like)
	if hint == "" {
		hint = "it takes " + strings.Join(names, ", ")
		if path != "" {
			hint = path + " takes " + strings.Join(names, ", ")
		}
	}
	d.blame(key, join(path, name), text, hint)
}

func meant(word string) string {
	if word == "" {
		return ""
	}
	return "did you mean " + word + "?"
}

// Nearest finds the word that text is a slip of, for whoever else takes words from people; empty where none is near.
func Nearest(text string, words []string) string { return nearest(text, words) }

// nearest finds the word that text is a slip of; empty where none is near.
func nearest(text string, words []string) string {
	if len(text) > maxScalar {
		return ""
	}
	folded := fold(text)
	best, distance := "", max(1, min(3, len(folded)/3))+1
	for _, word := range words {
		other := fold(word)
		switch steps := edits(folded, other); {
		case other == folded:
			return word
		case steps < distance, steps == distance && best != "" && strings.HasPrefix(other, folded) && !strings.HasPrefix(fold(best), folded):
			best, distance = word, steps
		}
	}
	return best
}

// elsewhere finds the path of a field of that name in another part of the job file.
func elsewhere(name string) string {
	folded := fold(name)
	if path, ok := synonyms[folded]; ok {
		return path
	}
	for _, path := range paths(reflect.TypeFor[nexus.Spec](), "") {
		if fold(path[strings.LastIndexByte(path, '.')+1:]) == folded {
			return path
		}
	}
	return ""
}

// paths lists every field of a struct and of the structs in it.
func paths(t reflect.Type, under string) []string {
	var all []string
	for i := range t.NumField() {
		f := t.Field(i)
		path := join(under, jsonName(f))
		all = append(all, path)
		inner := f.Type
		if inner.Kind() == reflect.Pointer {
			inner = inner.Elem()
		}
		if inner.Kind() == reflect.Struct && jsonName(inner.Field(0)) != "" {
			all = append(all, paths(inner, path)...)
		}
	}
	return all
}

// fold makes gpu-memory, gpuMemory and GPU_MEMORY alike.
func fold(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "", ".", "", " ", "").Replace(name))
}

// edits counts the insertions, deletions, replacements and swaps of neighbours between two words.
func edits(a, b string) int {
	before, last := []int(nil), make([]int, len(b)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(a) {
		row := make([]int, len(b)+1)
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+cost)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}

// isReference reports whether text is file:PATH, env:NAME or secret:NAME/KEY.
func isReference(text string) bool {
	kind, rest, _ := strings.Cut(text, ":")
	switch kind {
	case "file":
		return rest != "" && isPrintable(rest)
	case "env":
		return isEnvName(rest)
	case "secret":
		parts := strings.Split(rest, "/")
		return len(parts) == 2 && !slices.ContainsFunc(parts, func(p string) bool { return !isSecretWord(p) })
	}
	return false
}
