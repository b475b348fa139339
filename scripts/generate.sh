#!/bin/sh
# Makes what is made from cluster/kube/v1alpha1: the custom resource definitions
# and the copying of the types. TestGenerated wants the result to be committed.
set -eu
cd "$(dirname "$0")/.."
out=${1:-.}
"$(sh scripts/kube.sh)/controller-gen" \
	crd object paths=./cluster/kube/v1alpha1 \
	output:crd:dir="$out/deploy/manifests/crds" output:object:dir="$out/cluster/kube/v1alpha1"
