# make demo    from sample data to an answered prediction
# make test    all tests
# make help    the rest

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENVS := .venvs
UV := $(VENVS)/uv/bin/uv
IMAGES := components/images
ENVIRONMENTS := author tensorflow tfdv serving launcher test-servers tools
READY := $(ENVIRONMENTS:%=$(VENVS)/%/.ready)

# The newest TFDV wheel needs glibc 2.38; older hosts get the last one that loads there.
GLIBC := $(lastword $(shell getconf GNU_LIBC_VERSION 2>/dev/null))
TFDV_LOCK := $(if $(filter 2.38,$(firstword $(shell printf '%s\n' 2.38 $(GLIBC) | sort -V))),requirements,requirements-glibc-2.36)

LOCK_author := $(IMAGES)/author/requirements.txt
LOCK_tensorflow := $(IMAGES)/tensorflow/requirements.txt
LOCK_tfdv := $(IMAGES)/tfdv/$(TFDV_LOCK).txt
LOCK_serving := serving/image/requirements.txt
LOCK_launcher := $(IMAGES)/launcher/requirements.txt
LOCK_test-servers := tests/servers/requirements.txt
LOCK_tools := tests/tools/requirements.txt

# The package and pytest go into every environment that runs the package.
WITH_PACKAGE := author tensorflow tfdv serving launcher
# What checks Kubernetes resources goes into those that make some.
WITH_SCHEMAS := author tensorflow launcher serving

# Tests of what talks to a cluster run in the smallest image, which has no TensorFlow.
COMPONENT_TESTS := tests/components
CLUSTER_TESTS := $(addprefix $(COMPONENT_TESTS)/,common/kubernetes common/training_job \
	tuning/katib deployment/kserve)

DEMO ?= demo
DEMO_ROWS ?= 20000
AUTHOR := $(VENVS)/author/bin
PYTEST = $(VENVS)/$(1)/bin/python -m pytest -q $(PYTEST_ARGS) $(2)

TESTS := $(addprefix test-,author launcher tensorflow tfdv serving local)

.DELETE_ON_ERROR:
.PHONY: help setup demo test $(TESTS) check lint typecheck docs locks format golden clean base-image images images-test

help:
	@echo 'make demo       from sample data to a served, answered prediction'
	@echo 'make test       all tests, each in the environment of its image'
	@echo 'make check      lint, types, generated documentation'
	@echo 'make setup      the environments alone; does nothing where they are ready'
	@echo 'make docs       write the generated documentation anew'
	@echo 'make images     the container images, with docker or podman'
	@echo 'make images-test  builds the images and runs the pipeline in them'
	@echo 'make golden     write the golden compiled specs anew'
	@echo 'make locks      resolve every lock file anew'
	@echo 'make clean      remove environments and everything built'

setup: $(READY)

# An environment counts as made once .ready is there; one that was interrupted is made anew.
# Byte code is compiled here, once: where Python may not write it, importing TensorFlow takes
# more than twice as long in every process.
$(VENVS)/%/.ready: $(UV) setup.cfg tests/requirements.txt tests/cluster/requirements.txt
	@rm -rf $(VENVS)/$*
	@echo "environment $*"
	@$(UV) venv -q --python $(PYTHON) $(VENVS)/$*
	@$(UV) pip sync -q --require-hashes --compile-bytecode --python $(VENVS)/$*/bin/python $(LOCK_$*) \
		$(if $(filter $*,$(WITH_PACKAGE)),tests/requirements.txt) \
		$(if $(filter $*,$(WITH_SCHEMAS)),tests/cluster/requirements.txt)
	@$(if $(filter $*,$(WITH_PACKAGE)),$(UV) pip install -q --no-deps --build-constraints $(IMAGES)/build.txt \
		--python $(VENVS)/$*/bin/python --editable .)
	@touch $@

$(foreach name,$(ENVIRONMENTS),$(eval $(VENVS)/$(name)/.ready: $(LOCK_$(name))))

$(UV): $(IMAGES)/uv.txt
	@rm -rf $(VENVS)/uv
	@$(PYTHON) -m venv $(VENVS)/uv
	@$(VENVS)/uv/bin/pip install -q --disable-pip-version-check --require-hashes -r $(IMAGES)/uv.txt
	@touch $@

demo: setup
	@$(AUTHOR)/python -m kfp_tabular.pipelines.local.demo --output $(DEMO) --rows $(DEMO_ROWS)

# Tests run where their code runs: each folder in the environment of its image.
test: $(TESTS)
$(TESTS): setup

test-author:
	$(call PYTEST,author,tests/pipelines tests/compile tests/images)
test-launcher:
	$(call PYTEST,launcher,tests/cluster $(CLUSTER_TESTS))
test-tensorflow:
	$(call PYTEST,tensorflow,$(COMPONENT_TESTS) $(addprefix --ignore=,$(CLUSTER_TESTS)) \
		$(addprefix --ignore=$(COMPONENT_TESTS)/,data_validation deployment))
test-tfdv:
	$(call PYTEST,tfdv,$(COMPONENT_TESTS)/data_validation)
test-serving:
	$(call PYTEST,serving,$(COMPONENT_TESTS)/deployment $(addprefix --ignore=,$(CLUSTER_TESTS)) tests/serving)
test-local:
	$(call PYTEST,author,tests/local)

check: lint typecheck
	$(AUTHOR)/python -m kfp_tabular.pipelines.catalog --check

lint: $(VENVS)/tools/.ready
	$(VENVS)/tools/bin/ruff check .
	$(VENVS)/tools/bin/ruff format --check .

# mypy follows folders, not the package_dir mapping, so it gets the package's real shape.
typecheck: $(VENVS)/tools/.ready $(VENVS)/author/.ready
	@mkdir -p build/typecheck/kfp_tabular
	@for part in components pipelines serving; do ln -sfn $(CURDIR)/$$part build/typecheck/kfp_tabular/$$part; done
	MYPYPATH=build/typecheck $(VENVS)/tools/bin/mypy --config-file pyproject.toml \
		--python-executable $(AUTHOR)/python -p kfp_tabular

docs: setup
	$(AUTHOR)/python -m kfp_tabular.pipelines.catalog

format: $(VENVS)/tools/.ready
	$(VENVS)/tools/bin/ruff check --fix .
	$(VENVS)/tools/bin/ruff format .

golden: setup
	$(AUTHOR)/python -m pytest -q tests/compile --write-golden

UV_COMPILE = $(UV) pip compile --quiet --no-header --generate-hashes --python-version 3.11
locks: $(UV)
	echo 'setuptools>=77' | $(UV_COMPILE) - -o $(IMAGES)/build.txt
	for name in $(IMAGES)/author $(IMAGES)/launcher $(IMAGES)/tensorflow $(IMAGES)/tfdv serving/image tests/tools tests/servers; do \
		$(UV_COMPILE) --universal $$name/requirements.in -o $$name/requirements.txt || exit 1; done
	$(UV_COMPILE) --universal $(IMAGES)/tensorflow/requirements-gpu.in -o $(IMAGES)/tensorflow/requirements-gpu.txt
	$(UV_COMPILE) --universal tests/requirements.in -c $(LOCK_tensorflow) -o tests/requirements.txt
	$(UV_COMPILE) --universal tests/cluster/requirements.in -c $(LOCK_serving) -c $(LOCK_author) -c tests/requirements.txt \
		-o tests/cluster/requirements.txt
	$(UV_COMPILE) --python-platform x86_64-manylinux_2_31 $(IMAGES)/tfdv/requirements-glibc-2.36.in \
		--override $(IMAGES)/tfdv/overrides-glibc-2.36.txt -o $(IMAGES)/tfdv/requirements-glibc-2.36.txt

# Where no registry can be reached, `make base-image` makes the base, and
# `make images BASE=localhost/kfp-tabular/base:trixie` builds on it.
LOCAL_BASE := localhost/kfp-tabular/base:trixie
ENGINE_FOUND = $$(sh $(IMAGES)/engine.sh)

base-image:
	@IMAGE=$(LOCAL_BASE) sh $(IMAGES)/base.sh

images:
	@sh $(IMAGES)/build.sh
	@$(PYTHON) $(IMAGES)/sizes.py --engine $(ENGINE_FOUND)

images-test: setup
	@$(ENGINE_FOUND) image inspect $(LOCAL_BASE) >/dev/null 2>&1 || $(MAKE) base-image
	@BASE=$(LOCAL_BASE) NETWORK=host $(MAKE) images
	KFP_TABULAR_TEST_IMAGES=1 KFP_TABULAR_ENGINE=$(ENGINE_FOUND) \
		$(call PYTEST,author,tests/images tests/local/test_docker_runner.py)

clean:
	rm -rf $(VENVS) build demo .pytest_cache .mypy_cache .ruff_cache
