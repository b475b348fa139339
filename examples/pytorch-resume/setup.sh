#!/bin/sh
# Leaves in .setup/python which python3 can import torch and ainexus.
set -eu
mkdir -p .setup

for python in python3 /usr/bin/python3; do
	if "$python" -c 'import torch.distributed, ainexus' 2>/dev/null; then
		command -v "$python" >.setup/python
		exit
	fi
done
echo "error: neither python3 on the PATH nor /usr/bin/python3 can import torch and ainexus" >&2
echo "hint: activate the environment that has torch before nexus run, and: pip install ./sdk/python" >&2
exit 1
