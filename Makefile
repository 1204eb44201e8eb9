# The commands of this project. All of them work in build/ and leave everything outside this clone alone,
# but for pip's cache.
#
#   make demo     the short story: seven pull requests, checked by real agents
#     ALL=1           every scenario
#     SCENARIO=name   one scenario
#     KEEP=1          servers and agents stay up at the end, until `make stop`
#     SERVER=env      with the ClearML server of the CLEARML_* variables
#   make test     ruff, mypy, import-linter, and every test; a part of the end-to-end tests on real agents
#     FAST=1          no tests that start agents: about two minutes
#     ALL=1           all end-to-end tests on real agents
#     SERVER=env      as above
#   make bench    requests and seconds at 10, 1,000 and 20,000 tasks, and of an audit of 200 projects;
#                 how often each rule for gates is red, and which drift is found; what a check costs on agents
#                 of two kinds, beside the predecessors' actions
#     SMALL=1         only the smallest size
#   make profile  where the seconds of a check go, by task and phase
#     CHECKS=1        one check instead of two, of which the first one registers its pipeline
#     AGENTS=installed  agents with clearml-agent's own settings
#   make faults   checks, promotions, audits and reruns while something goes wrong; exit code 1 if anything wrong came of it
#     N=200           200 cases instead of 40
#     SEED=7          of the first case; the others have the next seeds
#     ONLY=text       only cases with this text in their title; ONLY=every-request interrupts steps and jobs everywhere
#   make lock     renews requirements.lock, which the action installs, from requirements.txt
#   make stop     stops what `make demo KEEP=1` left up
#   make clean    stops, and removes what was built

PYTHON ?= python3
VENV := build/venv
RUN := $(VENV)/bin/python
FOR_DEMO := requirements.txt sandbox/requirements.txt
FOR_TESTS := $(FOR_DEMO) tests/requirements.txt
WITH_AGENTS := tests/agents sandbox/tests/test_agents.py
WORKERS := 4# processes that run tests, on two cores: each of them waits for servers and agents half of its time
BY_FILE := --dist loadfile --no-loadscope-reorder# the folder that takes longest is the first by name
INSTALL := $(RUN) -m pip install --disable-pip-version-check --progress-bar off

ifneq ($(strip $(SERVER)),)
ifneq ($(SERVER),env)
$(error SERVER=$(SERVER): only SERVER=env is known; it takes the ClearML server from the CLEARML_* variables)
endif
endif

# Temporary files, too, stay inside the clone.
export TMPDIR := $(CURDIR)/build/tmp
export SERVER

.PHONY: demo test bench profile faults lock stop clean
.DEFAULT_GOAL := demo

demo: $(VENV)/.installed
	@$(RUN) -m sandbox.demo $(if $(filter 1,$(ALL)),--all) $(if $(SCENARIO),--scenario $(SCENARIO)) \
		$(if $(filter 1,$(KEEP)),--keep) $(if $(SERVER),--server $(SERVER))

test: $(VENV)/.installed-tests
	@date +%s > build/test-began
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy
	$(VENV)/bin/lint-imports --no-logo --no-cache
	$(if $(filter 1,$(ALL)),AGENTS=real )$(RUN) -m pytest --numprocesses $(WORKERS) $(BY_FILE) --durations 10$(if \
		$(filter 1,$(FAST)),$(WITH_AGENTS:%= --ignore %))
	@echo "make test took $$(( $$(date +%s) - $$(cat build/test-began) )) s"

bench: $(VENV)/.installed
	@$(RUN) -m tools.bench $(if $(filter 1,$(SMALL)),--small)

profile: $(VENV)/.installed
	@$(RUN) -m tools.profile_check $(if $(CHECKS),--checks $(CHECKS)) $(if $(filter installed,$(AGENTS)),--as-installed)

faults: $(VENV)/.installed
	@$(RUN) -m tools.faults $(if $(N),-n $(N)) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only "$(ONLY)")

# One file for Python 3.10 and newer. Its packages stay as they are unless requirements.txt asks for others: to renew
# them all, remove it first.
lock: $(VENV)/.installed-tests
	@$(RUN) -m uv pip compile --quiet --universal --python-version 3.10 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --output-file requirements.lock requirements.txt

stop:
	@if [ -x $(RUN) ]; then $(RUN) -m sandbox --stop; else echo "no sandbox is running"; fi

clean: stop
	rm -rf build .mypy_cache .ruff_cache .pytest_cache

$(VENV)/.installed-tests: $(VENV)/.installed $(FOR_TESTS)
	@echo "installing tests/requirements.txt into $(VENV)"
	@$(INSTALL) $(addprefix -r ,$(FOR_TESTS))
	@touch $@

$(VENV)/.installed: $(FOR_DEMO)
	@mkdir -p build/tmp
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
		echo "error: '$(PYTHON)' is no Python 3.10 or newer; name one with: make PYTHON=python3.12"; exit 2; }
	@$(PYTHON) -c 'import venv, ensurepip' || { \
		echo "error: '$(PYTHON)' has no venv module (Debian and Ubuntu: apt install python3-venv)"; exit 2; }
	@$(RUN) -c '' 2>/dev/null || { echo "making $(VENV)"; $(PYTHON) -m venv --clear $(VENV); }
	@echo "installing $(FOR_DEMO) into $(VENV) (a minute or two the first time)"
	@$(INSTALL) $(addprefix -r ,$(FOR_DEMO))
	@touch $@
