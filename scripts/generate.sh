#!/bin/sh
# Makes what is made: from cluster/kube/v1alpha1 the custom resource definitions and
# the copying of the types, with copies in the chart; from the chart the plain
# manifests. TestGenerated and the tests of deploy/charttest want the result to
# be committed.
set -eu
cd "$(dirname "$0")/.."
"$(sh scripts/kube.sh controller-gen)/controller-gen" \
	crd object paths=./cluster/kube/v1alpha1 \
	output:crd:dir=deploy/manifests/crds output:object:dir=cluster/kube/v1alpha1
cp deploy/manifests/crds/*.yaml deploy/helm/ai-nexus/crds/
cp deploy/manifests/user-role.yaml deploy/helm/ai-nexus/files/
cp deploy/manifests/admission-policy.yaml deploy/helm/ai-nexus/templates/
(cd deploy/charttest && go test -vet=off -run 'TestManifests$' . -write)
