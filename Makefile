# With Python 3.11, 3.12 or 3.13 and make: `make demo`, `make test`, `make test-all`. Each sets up .venv first.
# Another Python: make demo PYTHON=python3.12. Other backends, to be tested too: make test EXTRAS=,jax,torch

PYTHON ?= python3
EXTRAS =
DEMO_TRAINING = --epochs 8 --batch-size 32

BIN = .venv/bin
READY = .venv/installed

.PHONY: demo test test-all lint bench reference gallery constraints

# The main job on the bundled digits: train, evaluate, export and verify, read a picture.
demo: $(READY)
	@set -ex; start=$$(date +%s); \
	$(BIN)/convmedia mnist train --data digits --out runs/demo --overwrite $(DEMO_TRAINING); \
	$(BIN)/convmedia mnist evaluate --data digits --model runs/demo; \
	$(BIN)/convmedia mnist export --model runs/demo; \
	$(BIN)/convmedia mnist predict data/samples/seven.jpg --model runs/demo; \
	{ set +x; } 2>/dev/null; \
	echo "The main job took $$(( $$(date +%s) - start )) s. Its report: runs/demo/report.html"

# pytest without the marker `slow`; all of them by test-all.
test: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile

test-all: $(READY)
	$(BIN)/python -m pytest -n auto --maxprocesses 8 --dist loadfile -m ""

# mypy does not see the mapping of an editable install; links laid out as the packages are do.
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	@mkdir -p build/typing/convmedia
	@for floor in apps data models; do ln -sfn "../../../$$floor" "build/typing/convmedia/$$floor"; done
	@for file in __init__.py py.typed; do ln -sfn "../../../apps/public/$$file" "build/typing/convmedia/$$file"; done
	MYPYPATH=build/typing $(BIN)/mypy -p convmedia

# The reference of the Python interface: build/reference/index.html.
reference: $(READY)
	$(BIN)/python docs/reference.py build/reference

# Pages of all applications: build/gallery, for any static server.
gallery: $(READY)
	$(BIN)/python docs/gallery.py build/gallery

bench: $(READY)
	@for script in benchmarks/[!_]*.py; do \
	    [ -e "$$script" ] || { echo "benchmarks/ holds no scripts"; break; }; \
	    echo "== $$script"; $(BIN)/python "$$script" || exit 1; \
	done

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit( \
	    f'TensorFlow 2.21 runs on Python 3.11 to 3.13; received {v[0]}.{v[1]}. Name another one: make PYTHON=python3.12 ...')"
	@echo "Setting up .venv: some minutes, about 2 GB of disk ..."
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev$(EXTRAS)]'
	@$(BIN)/python -m convmedia.apps.web.runtime build/onnxruntime-web-1.30.0 || echo "Tests of pages will be skipped."
	@touch $@

# Pins the newest versions that fit together. Resolved on the oldest Python, so that one set serves all.
constraints:
	$(PYTHON) -m venv --clear build/resolving
	build/resolving/bin/python -m pip install --quiet --upgrade pip
	build/resolving/bin/python -m pip install --dry-run --ignore-installed '.[dev,jax,torch,ray,heif]' >build/resolving/log
	sed -n '/^#/p' constraints.txt >build/resolving/constraints.txt
	sed -n 's/^Would install //p' build/resolving/log | tr ' ' '\n' | sed 's/-\([^-]*\)$$/==\1/; s/+.*//' \
	    | grep -Ev '^(convmedia|cuda-|nvidia-|triton)' | LC_ALL=C sort -f >>build/resolving/constraints.txt
	mv build/resolving/constraints.txt constraints.txt
