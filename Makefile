# The commands of this repository. `make` alone tells them.
.POSIX:

help:
	@echo "go run ./cmd/nexus run examples/mnist/job.yaml    the first job: train MNIST here"
	@echo
	@echo "make test            everything that has to hold, cheap checks first; installs what it needs"
	@echo "make test-nightly    the same for longer: more fuzzing, kill points and soaking, each test three times,"
	@echo "                     and PyTorch 2.6 in a chroot, which it builds and caches (root, 1.3 GB, 6 min)"
	@echo "make quick           gofmt, house rules, vet and staticcheck: what to run before a commit"
	@echo "make setup           only the Debian packages that the tests need"
	@echo "make kube            only the Kubernetes control plane that tests run: 20 CPU-minutes, once"
	@echo "make generate        the custom resource definitions, from their Go types"
	@echo "make nexus-static    build the program for pods into bin/nexus-static: static, GPUs by nvidia-smi only"
	@echo "make build           build the program into bin/nexus"
	@echo "make clean           remove what these commands built"
	@echo
	@echo "Settings: PROCS=2 (packages at a time)  FUZZTIME=3s (per target)  POINTS=200 (kill -9 points)"
	@echo "          SOAK=1000000 (random steps of the planner)  BUSY=60s (nodes with busy workers)"
	@echo "          COUNT=1 (times each test)     TIMEOUT=10m (per package)"
	@echo "          SEED=1 (of the planner's laws and soak; 0: a new one each time)"
	@echo "Example:  make test FUZZTIME=30s POINTS=1000"
	@echo
	@echo "One package: go test -race ./sched      One rule of the house: go test ./internal/house"

test:
	@sh scripts/test.sh

test-nightly:
	@NIGHTLY=1 FUZZTIME=$${FUZZTIME:-2m} POINTS=$${POINTS:-1000} SOAK=$${SOAK:-10000000} BUSY=$${BUSY:-10m} SEED=$${SEED:-0} SIMD=$${SIMD:-1} COUNT=$${COUNT:-3} TIMEOUT=$${TIMEOUT:-30m} sh scripts/test.sh

quick:
	@QUICK=1 sh scripts/test.sh

setup:
	@sh scripts/setup.sh

kube:
	@PROCS=$${PROCS:-2} sh scripts/kube.sh

generate:
	@sh scripts/generate.sh

# What goes into pods and images: it needs no library, not even the loader, so
# that any image will do. GPUs are read through nvidia-smi.
nexus-static:
	CGO_ENABLED=0 go build -tags nogpu -trimpath -ldflags "-s -w" -o bin/nexus-static ./cmd/nexus

build:
	CGO_ENABLED=0 go build -o bin/nexus ./cmd/nexus

clean:
	rm -rf bin .cache

.PHONY: help test test-nightly quick setup kube generate nexus-static build clean
