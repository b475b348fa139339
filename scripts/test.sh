#!/bin/sh
# Everything that has to hold before a change lands, cheap checks first.
# `make help` lists the settings. Run by `make test`.
set -eu
cd "$(dirname "$0")/.."
. scripts/stage.sh

procs=${PROCS:-2}         # packages built and tested at a time
fuzztime=${FUZZTIME:-3s}  # for each fuzz target
points=${POINTS:-200}     # kill -9 points of the torture
soak=${SOAK:-1000000}     # random steps of the planner's soak
busy=${BUSY:-60s}         # how long nodes with busy workers are watched
export SEED="${SEED:-1}"  # of the soak and the planner's laws; 0: a new one
count=${COUNT:-1}         # how often each test runs
timeout=${TIMEOUT:-10m}   # for the tests of one package

# sources runs find over what people wrote here.
sources() {
	find . -path './.*' -prune -o -name testdata -prune -o -type f "$@"
}

formatted() {
	badly=$(sources -name '*.go' -exec gofmt -l {} +) || return
	if [ -n "$badly" ]; then
		echo "error: these files are not formatted:" $badly
		echo "hint: gofmt -w" $badly
		return 1
	fi
}

staticcheck() {
	go build -C tools -o ../.cache/bin/staticcheck honnef.co/go/tools/cmd/staticcheck &&
		.cache/bin/staticcheck ./...
}

# nested prints the directories of the other modules whose tests belong here. A
# module without Go sources only carries data.
nested() {
	sources \( -path './examples/*' -o -path './bench/*' \) -name go.mod -print | sort | xargs -rn1 dirname |
		while read -r dir; do
			if ls "$dir"/*.go >/dev/null 2>&1; then echo "$dir"; fi
		done
}

nested_modules() {
	for dir in $(nested); do
		(cd "$dir" && go vet ./... && gotest -race -p "$procs" -timeout "$timeout" ./...) || return
	done
}

# chart_and_image tests what is deployed. Without the race detector and vet: both would build helm and all that it brings
# once more (five CPU-minutes each), for tests that run the product's code only as the other stages do.
chart_and_image() {
	(cd deploy/charttest && gotest -vet=off -p "$procs" -timeout "$timeout" ./...)
}

# builds_for OS ARCH builds and vets for another system, without a C compiler.
builds_for() {
	GOOS=$1 GOARCH=$2 CGO_ENABLED=0 go build -p "$procs" ./... &&
		GOOS=$1 GOARCH=$2 CGO_ENABLED=0 go vet ./...
}

# torch26 runs every test of real PyTorch with release 2.6 instead of the one that is installed. They are found by
# name; the chroot has nothing but PyTorch and iproute2, so that tests which need more there have to bring it.
torch26() {
	NEXUS_TEST_PYTHON=$(sh scripts/torch26.sh python) gotest -count 1 -timeout 30m -run 'PyTorch' ./c10d ./launch
}

# sdk26 runs the tests of the Python package with release 2.6; arguments go to pytest. The chroot has none: this machine's,
# which is pure Python, serves there too.
sdk26() (
	lent=$(mktemp -d)
	trap 'rm -rf "$lent"' EXIT
	/usr/bin/python3 - "$lent" <<-'END'
		import importlib.util, os, shutil, sys
		for name in "pytest", "_pytest", "pluggy", "iniconfig", "packaging", "attr", "py":
		    spec = importlib.util.find_spec(name)
		    if spec and spec.submodule_search_locations:
		        shutil.copytree(spec.submodule_search_locations[0], os.path.join(sys.argv[1], name))
		    elif spec:
		        shutil.copy(spec.origin, sys.argv[1])
	END
	cd sdk/python
	sh ../../scripts/torch26.sh run env PYTHONPATH="$lent:src" PYTHONDONTWRITEBYTECODE=1 \
		python3 -m pytest -q -p no:cacheprovider -W ignore::DeprecationWarning "$@"
)

# left_nothing wants the run to have left no trace among the sources. It is for
# CI, where nobody edits meanwhile.
left_nothing() {
	after=$(git status --porcelain) || return
	if [ "$after" != "$before" ]; then
		echo "$after"
		echo "error: git status differs from what it was before the tests"
		return 1
	fi
}
before=$(git status --porcelain 2>/dev/null) || before="no git"

stage "set-up" sh scripts/setup.sh
stage "gofmt" formatted
stage "house rules" gotest ./internal/house
stage "vet" go vet ./...
stage "staticcheck" staticcheck
if [ "${QUICK:-}" = 1 ]; then
	finish
	echo "PASSED the quick checks; make test runs everything"
	exit
fi
stage "linux/arm64" builds_for linux arm64
stage "darwin/arm64" builds_for darwin arm64
# Tests that need it are skipped where it is not built, but not in CI.
stage "Kubernetes control plane" sh scripts/kube.sh
stage "tests with the race detector" gotest -race -p "$procs" -count "$count" -timeout "$timeout" ./...
stage "tests of the nested modules" nested_modules
stage "chart and image" chart_and_image
stage "python sdk" sh scripts/sdk.sh
stage "fuzz smoke" sh scripts/fuzz.sh "$fuzztime"
if [ "${NIGHTLY:-}" = 1 ]; then # builds the standard library anew
	stage "sums in vectors" env GOEXPERIMENT=simd go test -count 1 ./train/collective
fi
# Without the race detector, which would make them ten times longer and sees the
# same code in the stage before.
stage "busy nodes are not lost" gotest -count 1 -timeout "$timeout" -run 'TestBusyNodes$' ./cli -netns.soak="$busy"
stage "soak of the planner" gotest -count 1 -timeout 60m -run TestSoak ./engine -soak.steps="$soak" -soak.seed="$SEED"
stage "public traces" gotest -count 1 -timeout "$timeout" -run 'TestOpenb|TestPhilly' ./app
if [ "${NIGHTLY:-}" = 1 ]; then
	stage "a controller killed after each write" gotest -count 1 -timeout 60m -run Killed ./app/onkube -points 0
	stage "an API server that is away for 5 minutes" gotest -count 1 -timeout 60m -run BadWeather ./app/onkube -away 5m
	stage "PyTorch 2.6: its chroot" sh scripts/torch26.sh build
	stage "PyTorch 2.6: tests" torch26
	stage "PyTorch 2.6: python sdk" sdk26
fi
if grep -qs torture.points app/*_test.go; then
	stage "torture" gotest -race -count 1 -timeout 60m -run Torture ./app -torture.points="$points"
fi
if [ "${CI:-}" = true ] && [ "$before" != "no git" ]; then
	stage "nothing left behind" left_nothing
fi
finish
echo "PASSED"
