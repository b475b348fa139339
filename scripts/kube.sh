#!/bin/sh
# Builds the Kubernetes control plane that tests run, and the generator of the
# custom resources: from source, in the versions of tools/kube/go.mod, into the
# cache of this user. Done once for each go.sum, in about 20 CPU-minutes; a run
# that was cut short goes on where it was. Prints where the programs are.
# Arguments name those that are wanted; without any all are.
set -eu
wanted=${*:-all}
cd "$(dirname "$0")/../tools/kube"

sum() {
	if command -v sha256sum >/dev/null; then sha256sum; else shasum -a 256; fi
}

# Tests look in the same place: programs.go of cluster/kube/kubetest.
bin=${XDG_CACHE_HOME:-$HOME/.cache}/ai-nexus/kube/$(sum <go.sum | cut -c 1-16)
mkdir -p "$bin"

version=$(sed -n 's,^.*k8s.io/kubernetes \(v[0-9.]*\).*$,\1,p' go.mod)
minor=${version#v1.}
minor=${minor%%.*}
v=k8s.io/component-base/version
flags="-s -w -X $v.gitVersion=$version -X $v.gitMajor=1 -X $v.gitMinor=$minor"
told=

# build makes one program. It is moved into place whole, so that one that was
# cut short is not taken for a finished one.
build() {
	case " $wanted " in
	*" all "* | *" $1 "*) ;;
	*) return ;;
	esac
	if [ -x "$bin/$1" ]; then return; fi
	if [ -z "$told" ]; then
		echo "building a Kubernetes control plane $version into $bin: about 20 CPU-minutes, once" >&2
		told=yes
	fi
	began=$(date +%s)
	CGO_ENABLED=0 go build -p "${PROCS:-2}" -trimpath -ldflags "$flags" -o "$bin/$1.new" "$2"
	mv "$bin/$1.new" "$bin/$1"
	echo "built $1 in $(($(date +%s) - began)) s" >&2
}

# The small ones first: what is wrong with the set-up shows soon.
build etcd go.etcd.io/etcd/server/v3
build controller-gen sigs.k8s.io/controller-tools/cmd/controller-gen
build kwok sigs.k8s.io/kwok/cmd/kwok
build kubectl k8s.io/kubernetes/cmd/kubectl
build kube-apiserver k8s.io/kubernetes/cmd/kube-apiserver
build kube-controller-manager k8s.io/kubernetes/cmd/kube-controller-manager
build kube-scheduler k8s.io/kubernetes/cmd/kube-scheduler
build kubelet k8s.io/kubernetes/cmd/kubelet
echo "$bin"
