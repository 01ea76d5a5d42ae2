# make demo | test | lint | docs | lowest | gpaw      Works from a fresh clone: the environment is made on the first call.

PYTHON ?= $(or $(shell command -v python3.11),$(shell command -v python3))
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

DEMO_DIR     ?= demo-run
# A second worker doubles the speed on two cores; the tests themselves use one thread each. TEST_MONGO_URI names a MongoDB to
# test with; without it the tests start a stand-in, which needs a Python 3.13 or newer besides (or those tests are skipped).
PYTEST_FLAGS ?= -n 2

# GPAW is built from source against these, for one core per relaxation.
GPAW_LIBRARIES := xc fftw3 openblas
GPAW_PACKAGES  := g++ libxc-dev libfftw3-dev libopenblas-dev

.DEFAULT_GOAL := help
.PHONY: help demo test lint format docs lowest gpaw clean

help:
	@sed -n 1p Makefile

# torch goes first so that nothing else pulls in another build of it.
$(VENV)/.base: constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: install it, or call make PYTHON=/path/to/python3.11"; exit 2; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "$(PYTHON) is older than Python 3.11: call make PYTHON=/path/to/python3.11"; exit 2; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV)
	$(PIP) torch
	@touch $@

$(VENV)/.run: $(VENV)/.base pyproject.toml
	$(PIP) --editable '.[forcefield,report]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) --editable '.[forcefield,train,report,query,defects,vasp,fireworks,dev]'
	@touch $@

# The reference pages document what the extras bring as well.
$(VENV)/.docs: $(VENV)/.dev
	$(PIP) --editable '.[docs]'
	@touch $@

gpaw: $(VENV)/.gpaw

# Whether a program links to the libraries tells more than whether their packages are installed.
LINKS_TO_GPAW_LIBRARIES := echo 'int main(void) { return 0; }' | \
	c++ -x c++ - -o /dev/null $(GPAW_LIBRARIES:%=-l%) 2> /dev/null

$(VENV)/.gpaw: $(VENV)/.run
	@$(LINKS_TO_GPAW_LIBRARIES) || \
		{ test "$$(id -u)" = 0 && apt-get update -qq && apt-get install -qq -y --no-install-recommends $(GPAW_PACKAGES); } || \
		{ echo "GPAW needs a C++ compiler, libxc, FFTW and OpenBLAS: as root, apt-get install $(GPAW_PACKAGES) (or what your \
	system calls them), then make gpaw again"; exit 2; }
	@printf 'mpi = False\ncompiler = "c++"\nfftw = True\nlibraries = "$(GPAW_LIBRARIES)".split()\n' > $(VENV)/gpaw-siteconfig.py
# Built anew: a wheel that pip kept may stand on other libraries.
	GPAW_CONFIG=$(abspath $(VENV))/gpaw-siteconfig.py $(PIP) --no-cache-dir --editable '.[forcefield,report,train,gpaw]'
	@touch $@

# One thread per process: several relaxations share the cores.
demo: export OMP_NUM_THREADS = 1
demo: $(VENV)/.run
	$(BIN)/definet-flows run demo --dir $(DEMO_DIR)
	$(BIN)/definet-flows report $(DEMO_DIR)

test: export OMP_NUM_THREADS = 1
test: $(VENV)/.dev
	$(BIN)/python -m pytest $(PYTEST_FLAGS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: export OMP_NUM_THREADS = 1
docs: $(VENV)/.docs
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

# The wheel in a bare environment, with the lowest versions that it allows: the demo first, with what that needs and no more.
LOWEST     := .venv-lowest
LOWEST_PIP := $(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt

lowest: export OMP_NUM_THREADS = 1
lowest: $(VENV)/.dev
	"$(PYTHON)" -m venv --clear $(LOWEST)
	$(BIN)/python .ci/lowest_versions.py > $(LOWEST)/constraints.txt
	$(BIN)/python -m build --no-isolation --wheel --outdir $(LOWEST)/dist . > /dev/null
	$(LOWEST_PIP) torch
	$(LOWEST_PIP) "$$(echo $(LOWEST)/dist/*.whl)[forcefield]"
	cd $(LOWEST) && bin/definet-flows run demo --dir demo-run && bin/definet-flows results demo-run
	$(LOWEST_PIP) "$$(echo $(LOWEST)/dist/*.whl)[forcefield,fireworks,query,report,train,vasp]" pytest pytest-xdist hypothesis
	$(LOWEST)/bin/python -m pytest $(PYTEST_FLAGS) -W default -m "not slow" tests/defects tests/definet tests/jobs --ignore tests/defects/test_interop.py

clean:
	rm -rf $(DEMO_DIR) docs/_build build dist .mypy_cache .ruff_cache .pytest_cache
