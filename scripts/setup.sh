#!/bin/sh
# Brings a fresh Debian machine with Go to where `make test` can run: installs
# the packages that are missing and no others. Safe to run again and again.
# Arguments are further packages, which a benchmark's peer needs.
set -eu

# -race needs a C compiler; without it nothing can be tested.
needed="gcc libc6-dev"
# Tests of real PyTorch jobs, of network failures, of the image and of the
# dashboard's queries and, from containerd on, of pods on a real kubelet need
# these. Without them those tests are skipped with a sentence, but not in CI.
wanted="python3-torch python3-pytest mypy iproute2 buildah prometheus containerd runc containernetworking-plugins busybox-static $*"

if ! command -v go >/dev/null; then
	echo "error: there is no go on the PATH" >&2
	echo "hint: install Go $(sed -n 's/^go //p' "$(dirname "$0")/../go.mod") or newer from https://go.dev/dl" >&2
	exit 1
fi

# missing prints those of the named packages that are not installed. Where
# there is no dpkg, it looks for the programs instead.
missing() {
	for package in "$@"; do
		case $package in # another's, as Docker's, will do: Debian's would take its place
		containerd | runc)
			command -v "$package" >/dev/null || echo "$package"
			continue
			;;
		esac
		if command -v dpkg-query >/dev/null; then
			dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
			continue
		fi
		case $package in
		gcc) command -v gcc >/dev/null || echo gcc ;;
		openmpi-bin) command -v mpirun >/dev/null || echo openmpi-bin ;;
		libopenmpi-dev) command -v mpicc >/dev/null || echo libopenmpi-dev ;;
		buildah | prometheus) command -v "$package" >/dev/null || echo "$package" ;;
		containernetworking-plugins) [ -x /usr/lib/cni/bridge ] || echo "$package" ;;
		busybox-static) command -v busybox >/dev/null || echo "$package" ;;
		iproute2) command -v ip >/dev/null || echo iproute2 ;;
		python3-pytest) /usr/bin/python3 -c 'import pytest' 2>/dev/null || echo python3-pytest ;;
		mypy) /usr/bin/python3 -c 'import mypy' 2>/dev/null || echo mypy ;;
		python3-torch) /usr/bin/python3 -c 'import torch' 2>/dev/null || echo python3-torch ;;
		esac
	done
}

# as_root runs a command as root, if that takes no password.
as_root() {
	if [ "$(id -u)" = 0 ]; then
		"$@"
	else
		sudo -n "$@"
	fi
}

# install installs packages with apt. It says why, where it cannot.
install() {
	if ! command -v apt-get >/dev/null; then
		echo "this system has no apt-get" >&2
		return 1
	fi
	if [ "$(id -u)" != 0 ] && ! sudo -n true 2>/dev/null; then
		echo "this user is not root, and sudo is absent or asks for a password" >&2
		return 1
	fi
	export DEBIAN_FRONTEND=noninteractive
	as_root apt-get -qq -o Acquire::Retries=3 update &&
		as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends \
			-o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 install "$@"
}

absent=$(missing $needed $wanted)
if [ -n "$absent" ]; then
	# The names are words without spaces: splitting them is meant.
	echo "installing" $absent
	install $absent || echo "could not install" $absent >&2
fi

absent=$(missing $needed)
if [ -n "$absent" ]; then
	echo "error: the tests cannot run without" $absent >&2
	echo "hint: as root: apt-get install $needed" >&2
	exit 1
fi
absent=$(missing $wanted)
if [ -n "$absent" ]; then
	if [ "${CI:-}" = true ]; then
		echo "error: CI tests everything, but these packages are absent:" $absent >&2
		echo "hint: as root: apt-get install $wanted" >&2
		exit 1
	fi
	echo "notice: tests that need these are skipped:" $absent
fi
