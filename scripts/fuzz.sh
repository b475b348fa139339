#!/bin/sh
# fuzz.sh TIME [DIR...] runs every fuzz target of the module (or of the given
# directories) for TIME, such as 3s, one after the other. A new target needs no
# line here: targets are found by their names in the sources, since asking `go
# test -list` would build every test binary once more.
set -eu
cd "$(dirname "$0")/.."
time=${1:?usage: fuzz.sh TIME [DIR...]}
shift
[ $# -gt 0 ] || set -- .

log=$(mktemp)
trap 'rm -f "$log"' EXIT

found=0
for file in $(find "$@" -path './.*' -prune -o -name testdata -prune -o -name '*_test.go' -exec grep -lE '^func Fuzz[A-Z]' {} + | sort); do
	dir=./$(dirname "${file#./}")
	# Modules of their own are tested by themselves.
	[ "$(cd "$dir" && go env GOMOD)" = "$PWD/go.mod" ] || continue
	for target in $(sed -n 's/^func \(Fuzz[A-Z][A-Za-z0-9_]*\)(.*/\1/p' "$file"); do
		found=$((found + 1))
		# On a busy machine Go at times calls the end of the time a failure: "context
		# deadline exceeded", and no input. That says nothing about the code: again.
		for try in 1 2 3; do
			rc=0
			go test -run '^$' -fuzz "^$target\$" -fuzzminimizetime 10x -fuzztime "$time" -parallel 2 "$dir" >"$log" 2>&1 || rc=$?
			if [ "$rc" = 0 ] || grep -q 'Failing input' "$log" || ! grep -q 'context deadline exceeded' "$log"; then
				break
			fi
			echo "$dir $target: ended by its own deadline, try $try"
		done
		if grep -q 'no fuzz tests to fuzz' "$log"; then
			echo "error: $target of $file is not built on this system"
			exit 1
		fi
		if [ "$rc" != 0 ]; then
			cat "$log"
			echo "error: $target found an input that fails; it lies in $dir/testdata/fuzz/$target"
			echo "hint: go test -run $target $dir"
			exit 1
		fi
		echo "$dir $target: $(grep -o 'execs: [0-9]*' "$log" | tail -n 1)"
	done
done
echo "fuzz targets that ran for $time each: $found"
