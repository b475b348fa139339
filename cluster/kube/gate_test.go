package kube

import (
	"net/http"
	"net/url"
	"testing"
)

// What a request needs is told as a role says it.
func TestTheRuleThatARequestNeeds(t *testing.T) {
	for _, c := range []struct{ method, url, want string }{
		{"GET", "/api/v1/nodes", `{apiGroups: [""], resources: ["nodes"], verbs: ["list"]}`},
		{"GET", "/api/v1/pods?watch=true", `{apiGroups: [""], resources: ["pods"], verbs: ["watch"]}`},
		{"GET", "/apis/batch/v1/namespaces/team/jobs/a-1", `{apiGroups: ["batch"], resources: ["jobs"], verbs: ["get"]}`},
		{"POST", "/api/v1/namespaces/team/services", `{apiGroups: [""], resources: ["services"], verbs: ["create"]}`},
		{"PUT", "/apis/ainexus.io/v1alpha1/namespaces/team/nexusjobs/a/status", `{apiGroups: ["ainexus.io"], resources: ["nexusjobs/status"], verbs: ["update"]}`},
		{"DELETE", "/apis/batch/v1/namespaces/team/jobs/a-1", `{apiGroups: ["batch"], resources: ["jobs"], verbs: ["delete"]}`},
	} {
		u, err := url.Parse("https://cluster" + c.url)
		if err != nil {
			t.Fatal(err)
		}
		if got := ruleFor(&http.Request{Method: c.method, URL: u}).String(); got != c.want {
			t.Errorf("%s %s needs %s", c.method, c.url, got)
		}
	}
}
