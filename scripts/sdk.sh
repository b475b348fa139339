#!/bin/sh
# Checks the Python package: its types, and its tests with real PyTorch and real
# processes. Run by scripts/test.sh; arguments go to pytest.
set -eu
cd "$(dirname "$0")/../sdk/python"
python=${NEXUS_TEST_PYTHON:-/usr/bin/python3}

for module in torch pytest mypy; do
	if ! $python -c "import $module" 2>/dev/null; then
		if [ "${CI:-}" = true ]; then
			echo "error: CI tests everything, but $python cannot import $module" >&2
			exit 1
		fi
		echo "notice: the Python package is not tested: $python cannot import $module"
		echo "hint: sh scripts/setup.sh, or name an interpreter that can in NEXUS_TEST_PYTHON"
		exit
	fi
done
export PYTHONDONTWRITEBYTECODE=1
$python -m mypy --cache-dir=../../.cache/mypy
$python -m pytest -q --durations=5 "$@"
