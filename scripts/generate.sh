#!/bin/sh
# Makes what is made from cluster/kube/v1alpha1: the custom resource definitions
# and the copying of the types. TestGenerated wants the result to be committed.
set -eu
cd "$(dirname "$0")/.."
"$(sh scripts/kube.sh controller-gen)/controller-gen" \
	crd object paths=./cluster/kube/v1alpha1 \
	output:crd:dir=deploy/manifests/crds output:object:dir=cluster/kube/v1alpha1
