#!/bin/sh
# PyTorch 2.6 in a Debian trixie chroot, for the tests that are too heavy for CI.
#
#   torch26.sh build            build and cache it; does nothing where it is there
#   torch26.sh run COMMAND...   run a command in it, in the current directory
#   torch26.sh python           print a command line for NEXUS_TEST_PYTHON
#
# It lies in $NEXUS_CACHE, else $XDG_CACHE_HOME/ai-nexus, else ~/.cache/ai-nexus;
# 1.6 GB, some six minutes to build, and root is needed. `run` mounts in a
# namespace of its own, so that nothing is left mounted whoever dies, and
# becomes the command: its process id, signals and exit code are the command's.
set -eu

cache=${NEXUS_CACHE:-${XDG_CACHE_HOME:-${HOME:?}/.cache}/ai-nexus}
root=$cache/torch26
ready=$root/.ready-1

build() {
	if [ -e "$ready" ]; then
		return
	fi
	if [ "$(id -u)" != 0 ]; then
		echo "error: only root can build a chroot" >&2
		return 1
	fi
	if ! command -v debootstrap >/dev/null; then
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq -o Acquire::Retries=3 update
		apt-get -qq -y --no-install-recommends -o DPkg::Lock::Timeout=300 install debootstrap
	fi
	mkdir -p "$cache"
	# Two builds at once would spoil each other's.
	exec 9>"$cache/torch26.lock"
	flock 9
	if [ -e "$ready" ]; then
		return
	fi
	# What is half built is of no use. Nothing is mounted in it: see inside.
	rm -rf "$root"
	debootstrap --variant=minbase trixie "$root" "$(mirror)"
	cp /etc/resolv.conf "$root/etc/resolv.conf"
	# Without it, torchrun --standalone looks for its own name for ten minutes.
	cp /etc/hosts "$root/etc/hosts"
	# The machine's own apt settings, a proxy perhaps, hold there too.
	cp /etc/apt/apt.conf.d/* "$root/etc/apt/apt.conf.d/" 2>/dev/null || true
	inside "$root" / sh -ec '
		export DEBIAN_FRONTEND=noninteractive
		apt-get -qq -o Acquire::Retries=3 update
		apt-get -qq -y --no-install-recommends -o Acquire::Retries=3 install python3-torch iproute2
		apt-get -qq clean
		python3 -c "import torch; print(\"PyTorch\", torch.__version__)"'
	touch "$ready"
}

# mirror is the one that this machine's apt takes Debian from.
mirror() {
	apt-get indextargets --format '$(REPO_URI)' 2>/dev/null | grep -m1 '/debian/*$' || echo http://deb.debian.org/debian
}

# inside ROOT DIR COMMAND... runs COMMAND in ROOT. /proc and /dev are there, and
# the places where tests keep their files are where they are outside. `become`
# is "exec" where this process is to be the command.
inside() {
	inside_root=$1
	inside_dir=$2
	shift 2
	${become:-} unshare --mount --propagation private sh -eu -c '
		root=$1 dir=$2 repository=$3
		shift 3
		mount -t proc proc "$root/proc"
		mount --rbind /dev "$root/dev"
		for shared in /tmp "$repository"; do
			mkdir -p "$root$shared"
			mount --bind "$shared" "$root$shared"
		done
		exec chroot "$root" sh -c "cd \"\$0\" 2>/dev/null || cd /; exec \"\$@\"" "$dir" "$@"
	' sh "$inside_root" "$inside_dir" "$repository" "$@" 9>&- # the lock is not the command's
}

repository=$(cd "$(dirname "$0")/.." && pwd)
what=${1:-}
[ $# -eq 0 ] || shift
case $what in
build)
	build
	;;
run)
	if [ ! -e "$ready" ]; then
		echo "error: there is no PyTorch 2.6 in $root" >&2
		echo "hint: sh scripts/torch26.sh build" >&2
		exit 1
	fi
	become=exec
	inside "$root" "$PWD" "$@"
	;;
python)
	# With the cache, since tests give their processes another HOME.
	echo "env NEXUS_CACHE=$cache sh $repository/scripts/torch26.sh run python3"
	;;
*)
	echo "usage: torch26.sh build | run COMMAND... | python" >&2
	exit 2
	;;
esac
