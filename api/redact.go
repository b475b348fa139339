package api

import (
	"maps"
	"net/url"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// Redact returns the spec with the credentials in proxy addresses replaced, for whatever is shown.
func Redact(spec nexus.Spec) nexus.Spec {
	hides := func(key string, v nexus.EnvValue) bool { return isProxy(key) && redacted(v.Value) != v.Value }
	if !slices.ContainsFunc(slices.Collect(maps.Keys(spec.Env)), func(key string) bool { return hides(key, spec.Env[key]) }) {
		return spec
	}
	spec.Env = maps.Clone(spec.Env)
	for key, v := range spec.Env {
		if hides(key, v) {
			v.Value = redacted(v.Value)
			spec.Env[key] = v
		}
	}
	return spec
}

// isProxy knows HTTPS_PROXY and its like, and GOPROXY.
func isProxy(key string) bool { return strings.HasSuffix(strings.ToLower(key), "proxy") }

// redacted hides user and password of a URL; what cannot be read as one and holds an @ is hidden whole.
func redacted(value string) string {
	if !strings.Contains(value, "@") {
		return value
	}
	const hidden = "redacted"
	u, err := url.Parse(value)
	if err != nil || u.User == nil || u.Host == "" {
		return hidden
	}
	u.User = url.User(hidden)
	return u.String()
}
