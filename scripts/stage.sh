# Stages of a test run: each is told with its time, the first that fails ends
# the run, and the end repeats what a hurried reader wants. To be sourced from
# the root of the repository.

root=$PWD
logs=$(mktemp -d)
table=$logs/times
closing=$logs/closing
: >"$table"
: >"$closing"
run_began=$(date +%s)
trap 'rm -rf "$logs"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# stage NAME COMMAND... runs one stage.
stage() {
	name=$1
	shift
	echo
	echo "== $name"
	began=$(date +%s)
	rc=0
	"$@" || rc=$?
	took=$(($(date +%s) - began))
	if [ "$rc" != 0 ]; then
		finish
		echo "FAILED: stage \"$name\" after $took s with exit code $rc: $*"
		exit 1
	fi
	echo "== $name: $took s"
	printf '%6d s  %s\n' "$took" "$name" >>"$table"
}

# gotest runs `go test -v` with the given arguments and shows each package as
# `go test` does, and in addition which tests were skipped, and why.
gotest() {
	{
		rc=0
		go test -v "$@" 2>&1 || rc=$?
		echo "$rc" >"$logs/rc"
	} | awk -f "$root/scripts/gotest.awk" | tee "$logs/last"
	grep -E '^(ok|FAIL|panic:|--- FAIL)' "$logs/last" >>"$closing" || true
	return "$(cat "$logs/rc")"
}

# finish prints the times of the stages, and Go's closing lines.
finish() {
	echo
	echo "== times"
	cat "$table"
	printf '%6d s  in all\n' $(($(date +%s) - run_began))
	echo
	cat "$closing"
}
