package launch

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// SecretPrefix begins the variables in which a place hands an agent the secrets that the job refers to by
// `from: env:NAME`. Workers never get them under that name.
const SecretPrefix = "NEXUS_SECRET_"

// SecretsOf picks the secrets out of an agent's environment, by NAME.
func SecretsOf(environ []string) map[string]string {
	secrets := map[string]string{}
	for _, line := range environ {
		if rest, ok := strings.CutPrefix(line, SecretPrefix); ok {
			name, value, _ := strings.Cut(rest, "=")
			secrets[name] = value
		}
	}
	return secrets
}

// baseEnv is the environment captured at submit with the job's own on top, secrets resolved. Nothing of it is
// stored or logged.
func baseEnv(o nexus.Order, secrets map[string]string) (map[string]string, error) {
	env := map[string]string{}
	for key, value := range o.Env {
		if !strings.HasPrefix(key, SecretPrefix) {
			env[key] = value
		}
	}
	for _, key := range slices.Sorted(maps.Keys(o.Spec.Env)) {
		value := o.Spec.Env[key]
		if value.From == "" {
			env[key] = value.Value
			continue
		}
		secret, err := reveal(value.From, o.Workdir, secrets)
		if err != nil {
			return nil, fmt.Errorf("%s for %s", err, key)
		}
		env[key] = secret
	}
	return env, nil
}

// reveal reads a secret. Its errors never hold a value.
func reveal(from, dir string, secrets map[string]string) (string, error) {
	kind, name, _ := strings.Cut(from, ":")
	switch kind {
	case "env":
		if value, ok := secrets[name]; ok {
			return value, nil
		}
		return "", fmt.Errorf("the secret env:%s was not set where the job was submitted or where the daemon runs (hint: export %s and submit again)", name, name)
	case "file":
		data, err := os.ReadFile(below(dir, name))
		if err != nil {
			return "", fmt.Errorf("the secret cannot be read: %w (hint: the file must be readable when the job starts)", err)
		}
		return strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r"), nil
	}
	return "", fmt.Errorf("the secret %s is for Kubernetes (hint: use file:PATH or env:NAME on this machine)", from)
}
