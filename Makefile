# make demo    from sample data to an answered prediction
# make test    all tests
# make help    the rest

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENVS := .venvs
UV := $(VENVS)/uv/bin/uv
IMAGES := components/images
ENVIRONMENTS := author tensorflow tfdv serving launcher test-servers tools
# Made for the tests, and by hand for the engine Spark and for MLflow's UI: nothing else needs them.
ON_DEMAND := spark mlflow
READY := $(ENVIRONMENTS:%=$(VENVS)/%/.ready)

# The newest TFDV wheel needs glibc 2.38; older hosts get the last one that loads there.
GLIBC := $(lastword $(shell getconf GNU_LIBC_VERSION 2>/dev/null))
TFDV_LOCK := $(if $(filter 2.38,$(firstword $(shell printf '%s\n' 2.38 $(GLIBC) | sort -V))),requirements,requirements-glibc-2.36)

LOCK_author := $(IMAGES)/author/requirements.txt
LOCK_tensorflow := $(IMAGES)/tensorflow/requirements.txt
LOCK_tfdv := $(IMAGES)/tfdv/$(TFDV_LOCK).txt
LOCK_serving := components/images/serving/requirements.txt
LOCK_launcher := $(IMAGES)/launcher/requirements.txt
LOCK_spark := $(IMAGES)/spark/requirements.txt
LOCK_mlflow := $(IMAGES)/mlflow/requirements.txt
LOCK_test-servers := tests/servers/requirements.txt
LOCK_tools := tests/tools/requirements.txt

# The package and pytest go into every environment that runs the package.
WITH_PACKAGE := author tensorflow tfdv serving launcher
# What checks Kubernetes resources goes into those that make some.
WITH_SCHEMAS := author tensorflow launcher serving
# What results are compared with goes where they are computed.
WITH_ORACLES := tensorflow

# Each folder of tests runs in the environment of the image that its code runs in; the folder
# that is named most closely decides. `local` runs whole pipelines from the author's environment.
COMPONENT_TESTS := tests/components
TESTS_author := tests/pipelines tests/compile tests/images tests/docs
TESTS_launcher := tests/cluster $(addprefix $(COMPONENT_TESTS)/,common/kubernetes common/spark_task common/tracking common/training_job \
	tuning/katib deployment/kserve destinations)
TESTS_tensorflow := $(COMPONENT_TESTS) tests/benchmarks
# Its workers often wait for each other, and for stores that are slow on purpose.
TESTS_training := $(addprefix $(COMPONENT_TESTS)/,training tuning)
TESTS_tfdv := $(addprefix $(COMPONENT_TESTS)/,data_validation common/statistics)
TESTS_serving := $(COMPONENT_TESTS)/deployment tests/serving
TESTS_local := tests/local
# Where the images are built, with them: make test ALSO=images.
TESTS_images := tests/images tests/local/containers/test_container_runner.py
# The longest first: they run side by side.
SUITES := author tensorflow training local serving launcher tfdv
ALSO ?=
ENVIRONMENT_local := author
ENVIRONMENT_training := tensorflow
ENVIRONMENT_images := author
VARIABLES_images = KFP_TABULAR_TEST_IMAGES=1 KFP_TABULAR_ENGINE=$(ENGINE_FOUND)
OPTIONS_images := -m images
environment_of = $(or $(ENVIRONMENT_$(1)),$(1))
ALL_TESTS := $(foreach suite,$(SUITES),$(TESTS_$(suite)))

# Extra arguments of pytest, such as ARGS='-k csv -x'. One test: make test-one T=tests/path.py::name.
ARGS ?=
T ?=

# How many suites run at a time, and environments are made. Three are right for two cores: suites wait for a
# third of their time. Each takes up to 4 GB of memory.
JOBS ?= 3
PARALLEL = $(if $(filter -j%,$(MAKEFLAGS)),,-j$(JOBS))
LOGS := build/tests

# A busy machine may take long to compile a file: uv's 60 s are too few.
export UV_COMPILE_BYTECODE_TIMEOUT ?= 600

# Python may keep the byte code of this package: tests start many processes.
unexport PYTHONDONTWRITEBYTECODE

COVERAGE := build/coverage
# 1: measure which lines run, which takes half as long again.
MEASURE ?=
DEMO ?= demo
DEMO_ROWS ?= 20000
AUTHOR := $(VENVS)/author/bin
# Tests that call make start one of their own, not a part of this one.
PYTEST = env -u MAKEFLAGS -u MFLAGS $(VENVS)/$(1)/bin/python -m pytest -q $(2)

.DELETE_ON_ERROR:
.PHONY: help setup demo test $(SUITES:%=test-%) $(SUITES:%=suite-%) suite-images images-built test-one coverage check lint imports typecheck package-tree docs locks licenses sbom audit format golden clean base-image images images-test

help:
	@echo 'make demo       from sample data to a served, answered prediction'
	@echo 'make test       all tests, each in the environment of its image; ARGS goes to pytest;'
	@echo '                JOBS suites at a time, by default 3'
	@echo 'make test-one T=tests/path.py::name   one file, folder or test, in its environment'
	@echo 'make test-NAME  one suite: $(SUITES)'
	@echo 'make coverage   all tests, and which lines they run'
	@echo 'make check      lint, import contracts, types, generated documentation'
	@echo 'make setup      the environments alone; does nothing where they are ready'
	@echo 'make spark      the environment of the engine Spark; tests make it, too'
	@echo 'make mlflow     the environment of MLflow'"'"'s server and UI; tests make it, too'
	@echo 'make docs       write the generated documentation anew'
	@echo 'make images     the container images, with docker or podman'
	@echo 'make images-test  builds the images and runs the pipeline in them'
	@echo 'make sbom       bills of materials of the images, from locks and images, in build/sbom'
	@echo 'make audit      known vulnerabilities of locked packages; ADVISORIES=URL asks another source'
	@echo 'make licenses   record the licenses of locked packages and write docs/licenses.md'
	@echo 'make prism      build the runner Prism of Beam, which some tests use; needs Go'
	@echo 'make golden     write the golden compiled specs anew'
	@echo 'make locks      resolve every lock file anew'
	@echo 'make clean      remove environments and everything built'

setup:
	@$(MAKE) --silent --no-print-directory $(PARALLEL) $(READY)

# An environment is made once .packages is there, and holds this package once .ready is. A new lock is
# synchronized into it; one that was interrupted is made anew. Byte code is compiled here, once: where Python may not write it, importing
# TensorFlow takes more than twice as long in every process.
.SECONDARY: $(ENVIRONMENTS:%=$(VENVS)/%/.packages) $(ON_DEMAND:%=$(VENVS)/%/.packages)
$(VENVS)/%/.packages: $(UV) tests/requirements.txt tests/cluster/requirements.txt tests/oracles/requirements.txt
	@[ -e $@ ] || rm -rf $(VENVS)/$*
	@rm -f $@
	@echo "environment $*"
	@[ -x $(VENVS)/$*/bin/python ] || $(UV) venv -q --python $(PYTHON) $(VENVS)/$*
	@$(UV) pip sync -q --require-hashes --compile-bytecode --python $(VENVS)/$*/bin/python $(LOCK_$*) \
		$(if $(filter $*,$(WITH_PACKAGE)),tests/requirements.txt) \
		$(if $(filter $*,$(WITH_SCHEMAS)),tests/cluster/requirements.txt) \
		$(if $(filter $*,$(WITH_ORACLES)),tests/oracles/requirements.txt)
	@touch $@

$(VENVS)/%/.ready: $(VENVS)/%/.packages setup.cfg
	@$(if $(filter $*,$(WITH_PACKAGE)),$(UV) pip install -q --no-deps --build-constraints $(IMAGES)/build.txt \
		--python $(VENVS)/$*/bin/python --editable .)
	@touch $@

$(foreach name,$(ENVIRONMENTS) $(ON_DEMAND),$(eval $(VENVS)/$(name)/.packages: $(LOCK_$(name))))

# Tests that need one are skipped where it cannot be made.
.PHONY: $(ON_DEMAND) $(ON_DEMAND:%=%-if-possible)
$(ON_DEMAND): %: $(VENVS)/%/.ready
$(ON_DEMAND:%=%-if-possible): %-if-possible: setup
	@$(MAKE) --silent --no-print-directory $* || echo 'no environment $*: its tests are skipped' >&2

# Beam's runner Prism. Its tests are skipped without it: building it takes Go and some minutes.
PRISM_VERSION := v2.77.0
.PHONY: prism
prism: $(VENVS)/prism/bin/prism
$(VENVS)/prism/bin/prism:
	@GOBIN='$(abspath $(@D))' go install github.com/apache/beam/sdks/v2/go/cmd/prism@$(PRISM_VERSION)

# They take most of their packages from the cache that this one fills.
$(VENVS)/tfdv/.packages $(VENVS)/serving/.packages: | $(VENVS)/tensorflow/.packages

$(UV): $(IMAGES)/uv.txt
	@rm -rf $(VENVS)/uv
	@$(PYTHON) -m venv $(VENVS)/uv
	@$(VENVS)/uv/bin/pip install -q --disable-pip-version-check --require-hashes -r $(IMAGES)/uv.txt
	@touch $@

demo: setup
	@$(AUTHOR)/kfp-tabular demo --output $(DEMO) --rows $(DEMO_ROWS)

# A suite that fails does not stop the others.
test: setup $(ON_DEMAND:%=%-if-possible)
	@mkdir -p $(LOGS) && rm -f $(LOGS)/*
	@echo 'Suites run $(JOBS) at a time; what they print is in $(LOGS).'
	@$(MAKE) --no-print-directory --keep-going $(PARALLEL) $(ALSO:%=suite-%) $(SUITES:%=suite-%) || { \
		echo "FAILED: $$(cd $(LOGS) && ls | sed -n 's/[.]failed$$//p' | paste -sd ' '); see $(LOGS)" >&2; exit 1; }

# With ARGS a suite may have no test that fits, which pytest reports as code 5.
suite = $(if $(MEASURE),COVERAGE_FILE=$(COVERAGE)/.coverage.$(1)) $(VARIABLES_$(1)) $(call PYTEST,$(call environment_of,$(1)),\
	$(if $(MEASURE),--cov --cov-report=) $(OPTIONS_$(1)) \
	$(wildcard $(TESTS_$(1))) $(foreach folder,$(TESTS_$(1)),$(addprefix --ignore=,$(filter $(folder)/%,$(ALL_TESTS)))) \
	$(ARGS))$(if $(ARGS), || [ $$? -eq 5 ])

$(SUITES:%=test-%): test-%: setup
	$(call suite,$*)

# The same, for `make test`: a line when it starts, and the result or all of the output when it ends.
$(SUITES:%=suite-%) suite-images: suite-%:
	@echo 'started: $*'
	@{ $(call suite,$*); } >$(LOGS)/$*.log 2>&1 || { touch $(LOGS)/$*.failed; cat $(LOGS)/$*.log; echo 'FAILED: $*'; exit 1; }
	@grep '^SKIPPED' $(LOGS)/$*.log || true
	@echo "passed: $*: $$(tail -n 1 $(LOGS)/$*.log)"

test-one: setup
	@[ -n '$(T)' ] || { echo 'Name a test: make test-one T=tests/path.py::name' >&2; exit 2; }
	@[ -e '$(firstword $(subst ::, ,$(T)))' ] || { echo '$(T): no such test file' >&2; exit 2; }
	@best=; \
	for entry in $(foreach suite,$(SUITES),$(foreach folder,$(TESTS_$(suite)),$(folder)=$(call environment_of,$(suite)))); do \
		folder=$${entry%%=*}; \
		case '$(T)' in "$$folder"|"$$folder"/*) [ $${#folder} -lt $${#best} ] || { best=$$folder; found=$${entry#*=}; } ;; esac; \
	done; \
	[ -n "$$best" ] || { echo '$(T): no environment for it; expected a path below $(ALL_TESTS)' >&2; exit 2; }; \
	set -x; $(VENVS)/$$found/bin/python -m pytest '$(T)' $(ARGS)

# What the suites measured, together. Code that tests run in other processes does not count.
coverage: setup
	@rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	@$(MAKE) --no-print-directory test MEASURE=1
	@cd $(COVERAGE) && $(CURDIR)/$(AUTHOR)/coverage combine -q --keep --rcfile=$(CURDIR)/pyproject.toml
	@COVERAGE_FILE=$(COVERAGE)/.coverage $(AUTHOR)/coverage report >$(COVERAGE)/report.txt
	@echo "coverage: $$(sed -n 's/^TOTAL.* //p' $(COVERAGE)/report.txt) of the lines; by file in $(COVERAGE)/report.txt"

check: lint imports typecheck
	$(AUTHOR)/python -m kfp_tabular.pipelines.catalog --check
	$(AUTHOR)/python -m kfp_tabular.components.images.licenses --check

lint: $(VENVS)/tools/.ready
	$(VENVS)/tools/bin/ruff check .
	$(VENVS)/tools/bin/ruff format --check .

# The contracts are in pyproject.toml: which part may import which, and no circles.
imports: $(VENVS)/tools/.ready package-tree
	@PYTHONPATH=$(PACKAGE_TREE) $(VENVS)/tools/bin/lint-imports --cache-dir build/import-linter

typecheck: $(VENVS)/tools/.ready $(VENVS)/author/.ready package-tree
	MYPYPATH=$(PACKAGE_TREE) $(VENVS)/tools/bin/mypy --config-file pyproject.toml \
		--python-executable $(AUTHOR)/python -p kfp_tabular
	MYPYPATH=$(PACKAGE_TREE):. $(VENVS)/tools/bin/mypy --config-file tests/benchmarks/mypy.ini \
		--python-executable $(AUTHOR)/python -p tests.benchmarks

# mypy and import-linter follow folders, not setup.cfg's package_dir: this is the package's shape.
PACKAGE_TREE := build/package
package-tree:
	@mkdir -p $(PACKAGE_TREE)/kfp_tabular
	@for part in components pipelines serving; do ln -sfn $(CURDIR)/$$part $(PACKAGE_TREE)/kfp_tabular/$$part; done

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
	for name in $(IMAGES)/author $(IMAGES)/launcher $(IMAGES)/spark $(IMAGES)/mlflow tests/tools tests/servers; do \
		$(UV_COMPILE) --universal $$name/requirements.in -o $$name/requirements.txt || exit 1; done
	for name in tensorflow tfdv serving; do $(UV_COMPILE) --universal --override $(IMAGES)/tensorflow/overrides.txt \
		$(IMAGES)/$$name/requirements.in -o $(IMAGES)/$$name/requirements.txt || exit 1; done
	$(UV_COMPILE) --universal --override $(IMAGES)/tensorflow/overrides.txt $(IMAGES)/tensorflow/requirements-gpu.in -o $(IMAGES)/tensorflow/requirements-gpu.txt
	$(UV_COMPILE) --universal tests/requirements.in -c $(LOCK_tensorflow) -o tests/requirements.txt
	$(UV_COMPILE) --universal tests/cluster/requirements.in -c $(LOCK_serving) -c $(LOCK_author) -c tests/requirements.txt \
		-o tests/cluster/requirements.txt
	$(UV_COMPILE) --universal tests/oracles/requirements.in -c $(LOCK_tensorflow) -c tests/requirements.txt \
		-o tests/oracles/requirements.txt
	$(UV_COMPILE) --python-platform x86_64-manylinux_2_31 $(IMAGES)/tfdv/requirements-glibc-2.36.in \
		--override $(IMAGES)/tfdv/overrides-glibc-2.36.txt -o $(IMAGES)/tfdv/requirements-glibc-2.36.txt

# The images' packages are installed here for another Python: what no environment has is fetched.
SITE_PACKAGES = $(wildcard $(VENVS)/*/lib/python3*/site-packages)
licenses: setup
	@mkdir -p build/licenses/packages
	@$(AUTHOR)/python -m kfp_tabular.components.images.licenses --missing $(SITE_PACKAGES) >build/licenses/missing.txt
	@[ ! -s build/licenses/missing.txt ] || $(UV) pip install -q --no-deps --require-hashes \
		--target build/licenses/packages --python-version 3.13 --python-platform x86_64-manylinux_2_39 \
		--requirement build/licenses/missing.txt
	@$(AUTHOR)/python -m kfp_tabular.components.images.licenses --record $(SITE_PACKAGES) build/licenses/packages

# The tools' environment does not hold this package.
TOOL = PYTHONPATH=$(PACKAGE_TREE) $(VENVS)/tools/bin/python -m kfp_tabular.components.images.$(1)
sbom: $(VENVS)/tools/.ready package-tree
	@$(call TOOL,sbom) --validate --output build/sbom

# Exits with 1 where something is vulnerable, 3 where no source of advisories answers.
ADVISORIES ?=
audit: $(VENVS)/tools/.ready package-tree
	@$(call TOOL,audit) $(if $(ADVISORIES),--osv-url $(ADVISORIES))

# Where no registry can be reached, `make base-image` makes the base, and
# `make images BASE=localhost/kfp-tabular/base:trixie` builds on it.
LOCAL_BASE := localhost/kfp-tabular/base:trixie
ENGINE_FOUND = $$(sh $(IMAGES)/engine.sh)

base-image:
	@IMAGE=$(LOCAL_BASE) sh $(IMAGES)/base.sh

images:
	@sh $(IMAGES)/build.sh
	@$(PYTHON) $(IMAGES)/sizes.py --engine $(ENGINE_FOUND)

images-built:
	@mkdir -p $(LOGS) && touch $(LOGS)/images.failed
	@$(ENGINE_FOUND) image inspect $(LOCAL_BASE) >/dev/null 2>&1 || $(MAKE) base-image
	@BASE=$(LOCAL_BASE) NETWORK=host $(MAKE) images
	@rm $(LOGS)/images.failed

suite-images: images-built

images-test: setup images-built
	$(call suite,images)

clean:
	rm -rf $(VENVS) build demo .pytest_cache .mypy_cache .ruff_cache
