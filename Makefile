# make demo   train cross-entropy and S-IB on the built-in images, and draw both
# make test   everything that continuous integration checks
# make test-fast  a verdict in about a minute: lint, types, formulas, contracts, the command line
# make docs  the documentation as a site, in site/
# make bench  time the S-IB step and its head against plain and naive ones, in a short form
# make torture  the long forms: processes killed, published architectures, command lines and values
#               generated, each reader fuzzed for a minute; about an hour
# Each makes its own virtual environment in .venv and installs what it needs there.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
BIN := .venv/bin
# a module is compiled when it is first imported, a quarter of what pip would compile, and kept
export PYTHONDONTWRITEBYTECODE :=
INSTALLED := .venv/.installed
# glibc gives freed blocks back to the kernel at once, and torch pays for their pages in every step;
# huge pages, and 256 MB kept, avoid part of that. Other C libraries ignore the variable. Each worker
# has one core.
TESTING := OMP_NUM_THREADS=1 GLIBC_TUNABLES=glibc.malloc.hugetlb=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=268435456:glibc.malloc.top_pad=67108864

FAST := tests/functional tests/objectives/test_contract.py tests/models tests/config/test_facts.py \
	tests/cli/test_help.py tests/package/test_imports.py tests/package/test_plugins.py \
	tests/package/test_readme.py tests/package/test_light.py

.PHONY: demo test test-fast torture lint docs bench clean

demo: $(INSTALLED)
	$(BIN)/sib demo --out demo

test: $(INSTALLED) lint
	$(TESTING) $(BIN)/python -m pytest -n 2 --dist worksteal

test-fast: $(INSTALLED) lint
	$(TESTING) $(BIN)/python -m pytest -n 2 $(FAST)

torture: $(INSTALLED)
	$(TESTING) $(BIN)/python -m pytest -m torture -s --timeout 3600 --ignore tests/properties
	$(TESTING) SIB_EXAMPLES=1000 $(BIN)/python -m pytest tests/properties -m 'torture or not torture' --timeout 3600
	$(BIN)/python -m pip install --quiet atheris || echo "atheris cannot be installed here"
	$(BIN)/python tests/fuzz/guided.py --seconds 60

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: $(INSTALLED)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

bench: $(INSTALLED)
	$(BIN)/python benchmarks/head.py --rounds 5
	$(BIN)/python benchmarks/step.py --architectures resnet18 vit_b_32 --batch 8 --batch-norm train --rounds 3 \
		--modes plain naive sib

$(INSTALLED): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "sib needs Python 3.11 or newer: make PYTHON=/path/to/python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --constraint constraints.txt --editable '.[dev]'
	touch $@

clean:
	rm -rf .venv demo runs site
