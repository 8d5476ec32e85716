# SFAR: a paper you can run. `make help` lists the targets.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PROFILE ?= storyboard
SEEDS   ?=
DATA    ?=
JOBS    ?=
FOLDER  ?=
SVG     ?=
READING ?=
EXECUTOR ?=
GPUS    ?=
SITE    := .venv-site
WHICH    = --profile $(PROFILE) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(DATA),--data "$(DATA)") $(if $(READING),--reading $(READING))
OPTIONS  = $(WHICH) $(if $(JOBS),--jobs $(JOBS)) $(if $(EXECUTOR),--executor $(EXECUTOR)) $(if $(GPUS),--gpus-per-run $(GPUS))
# Files of checks side by side, the longest first (tests/conftest.py); without it they run one after another.
WORKERS  = -n $(or $(JOBS),2) --dist loadfile

# One measurement after another: each spreads its own runs over the cores (JOBS), and some take up what another has measured.
.NOTPARALLEL:
# SVG=1: the figures that are drawn are written as .svg too, beside the .png (sfar/render/style.py).
export SFAR_SVG = $(SVG)
# Pyright asks no server whether there is a newer one.
export PYRIGHT_PYTHON_IGNORE_WARNINGS = 1
.DEFAULT_GOAL := help
# Every target of `sfar reproduce` has a line of its own below.
RESULTS := $(shell sed -n 's/^\(reproduce-[a-z0-9]*\):.*/\1/p' $(firstword $(MAKEFILE_LIST)))

.PHONY: help env reproduce explore summary $(RESULTS) test test-fast test-long test-lab lint format hooks notebooks bench gpu-check site lab preview pretrain tune clean-cache clean

help:  ## list the targets
	@awk -F ':.*## ' '/^## /{printf "\n%s\n", substr($$0, 4)} /^[a-z0-9-]+:.*## /{printf "  make %-19s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nOptions\n  PROFILE=storyboard|paper  SEEDS=0,1,2  DATA=/path/to/k400  JOBS=n (runs side by side)  PYTHON=python3.12\n  READING=printed|residual|context  SVG=1 (figures as .svg too)\n  EXECUTOR=local|ray  GPUS=n (of each run; docs/TRAINING.md)\n'

## Start here
env: $(VENV)/.ready  ## create .venv from the lock file (names, versions, hashes)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12 ...")'
	@echo "Creating $(VENV) from requirements.lock (a few minutes, about 6 GB)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

reproduce: env  ## every table and figure of the paper, then the summary page; goes on where it stopped
explore: env  ## what the paper does not have: which reading it can be, budgets of training, knobs of the world
explore: BEYOND = --beyond
reproduce explore:
	@todo="$$($(BIN)/sfar pending $(WHICH) $(BEYOND))" || exit $$?; \
	if [ -n "$$todo" ]; then echo "To make: $$todo"; else echo "Everything is made already, and by this code (make clean-cache starts over)"; fi; \
	$(MAKE) --no-print-directory $$(for t in $$todo; do echo reproduce-$$t; done) summary

summary: env  ## the one page with every table, figure and claim: results/storyboard/README.md
	@$(BIN)/sfar summary $(WHICH)

## Tables and figures (each: measure what is not yet measured, write results/, execute the notebook)
reproduce-table1: env  ## Table 1: Kinetics-400, supervised
reproduce-table11: env  ## Table 11: the same with ViT-L/14 (alias of table1; PROFILE=paper: runs of its own)
reproduce-table2a: env  ## Table 2a: Charades, multi-label
reproduce-table2b: env  ## Table 2b: zero-shot on UCF-101 and HMDB-51, both protocols
reproduce-table10: env  ## Table 10: zero-shot with ViT-L/14 (alias of table2b; PROFILE=paper: runs of its own)
reproduce-table2c: env  ## Table 2c: the fine-grained video embedding in VideoPrompt, ATM and BIKE
reproduce-table2d: env  ## Table 2d: generators of sub-texts (alias of fig7b)
reproduce-table2e: env  ## Table 2e: both embeddings, either alone, baselines, open readings
reproduce-table3: env  ## Table 3: few-shot, K = 2, 4, 8, 16
reproduce-table12: env  ## Table 12: few-shot with ViT-L/14, K = 2, 5 (alias of table3; PROFILE=paper: runs of its own)
reproduce-table4: env  ## Table 4: N = 2 against N = 5 by class
reproduce-table5: env  ## Table 5: hyper-parameters (alias of audit)
reproduce-table6: env  ## Table 6: the question prompts (alias of table13)
reproduce-table7: env  ## Table 7: the system prompt (alias of table13)
reproduce-table8: env  ## Table 8: accuracy by degree of ambiguity and non-uniformity
reproduce-table9: env  ## Table 9: the most ambiguous and non-uniform actions (alias of table8)
reproduce-table13: env  ## Table 13: accuracy with each set of sub-texts (after Figure 7b)
reproduce-table14: env  ## Table 14: sub-texts from visual context (alias of table13)
reproduce-fig1: env  ## Figure 1: ambiguous and non-uniform storyboards (alias of fig2)
reproduce-fig2: env  ## Figure 2a-e: where single, coarse, fine and fused attention falls
reproduce-fig2f: env  ## Figure 2f: accuracy by degree (alias of table8)
reproduce-fig3: env  ## Figure 3: the framework, with the code's real shapes (alias of fig2)
reproduce-fig4: env  ## Figure 4: sub-texts of a dive (alias of table13)
reproduce-fig5: env  ## Figure 5: class probabilities on ambiguous videos (alias of fig2)
reproduce-fig6: env  ## Figure 6: importance over frames against the true storyboard (alias of fig2)
reproduce-fig7a: env  ## Figure 7a: number of sub-texts (alias of table2e)
reproduce-fig7b: env  ## Figure 7b: 15 groups of sub-texts, TPP against accuracy
reproduce-fig8: env  ## Figure 8: sub-texts by several generators (alias of table13)
reproduce-fig9: env  ## Figure 9: as Figure 2, more classes (alias of fig2)
reproduce-fig10: env  ## Figure 10: as Figure 2, unseen data sets (alias of fig2)
reproduce-audit: env  ## the paper held against itself and against arithmetic (after the records whose effects it names)
reproduce-readings: env  ## which reading of the paper can be the paper: every reading by every printed pattern
reproduce-budget: env  ## accuracy against training videos and epochs, every method
reproduce-knobs: env  ## the paper's explanation tested by its cause: one knob of the world at a time
reproduce-rivals: env  ## the systems that Tables 1, 2b and 3 quote, measured: OST, ViFi-CLIP, ActionCLIP, X-CLIP, ...
$(RESULTS):
	@$(BIN)/sfar reproduce $(@:reproduce-%=%) $(OPTIONS)

## Checks and work
test: lint  ## the suite: form and types, pytest, then nbval on the notebooks
	@$(BIN)/python -m pytest tests -m "not long" $(WORKERS) --no-loadscope-reorder
	@$(BIN)/python -m pytest --nbval-lax --nbval-cell-timeout 1800 --nbval-kernel-startup-timeout 600 --nbval-current-env -p no:cacheprovider $(WORKERS) notebooks

test-fast: env  ## the suite without the runs that train full seeds
	@$(BIN)/python -m pytest tests -m "not slow and not long" $(WORKERS) --no-loadscope-reorder

test-long: env  ## what the suite has no time for: a seed of every study again, more ways in which a cluster ends
	@$(BIN)/python -m pytest tests -m long $(WORKERS) --no-loadscope-reorder

test-lab: env  ## JupyterLab itself in a browser: 00 and 03 run all cells and show them (needs Chromium)
	@$(BIN)/python -m pytest -rs -p no:cacheprovider tests/lab/jupyterlab.py

lint: env  ## form and types: ruff and pyright
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright

format: env  ## bring the form into order: imports, layout, what ruff can mend by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

hooks: env  ## have git check form and types before each commit
	@$(BIN)/pre-commit install

notebooks: env  ## execute the notebooks with their default parameters and keep the outputs
	@for n in notebooks/[0-9]*.ipynb; do $(BIN)/sfar notebook $$n --refresh || exit 1; done

bench: env  ## how fast it is, as ratios, into results/bench (about 12 minutes; FOLDER=/my/videos reads those too)
	@$(BIN)/sfar bench $(if $(FOLDER),--folder "$(FOLDER)")

gpu-check: env  ## what a GPU alone can show, into results/bench/gpu.json (at most 8 minutes on one H100)
	@$(BIN)/sfar bench gpu

site: $(SITE)/.ready  ## README, docs, notebooks, results and API as a site that needs no network: site/index.html
	@NO_MKDOCS_2_WARNING=1 $(SITE)/bin/mkdocs build --strict --quiet --config-file website/mkdocs.yml
	@echo "Open site/index.html"

# Small, and not the environment of the experiments: whoever only reads or writes need not install that one.
$(SITE)/.ready: requirements-site.lock
	@$(PYTHON) -m venv $(SITE)
	@$(SITE)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-site.lock
	@touch $@

# The whole repository is served, so that links from notebooks to pages of results lead somewhere. In a container, as root,
# nothing opens a browser: the address is printed (LAB="--ip=0.0.0.0 --port=8890" for one outside).
lab: env  ## open the notebooks in JupyterLab (LAB=more options of it)
	@JUPYTER_PATH="$(CURDIR)/$(VENV)/share/jupyter$${JUPYTER_PATH:+:$$JUPYTER_PATH}" $(BIN)/jupyter lab \
		--ServerApp.root_dir="$(CURDIR)" --KernelManager.transport_encryption=auto $$([ "$$(id -u)" != 0 ] || echo --allow-root --no-browser) $(LAB) notebooks/00_method.ipynb

preview: env  ## contact sheets of the storyboard world, into preview/
	@$(BIN)/sfar storyboard preview --out preview

pretrain: env  ## train the storyboard world's CLIP again (about 20 minutes; changes the committed weights)
	@$(BIN)/sfar pretrain

tune: env  ## search each method's settings on development worlds again, into results/storyboard/tuning.json
	@$(BIN)/sfar tune $(if $(JOBS),--jobs $(JOBS))

clean-cache: env  ## remove all kept work, so that the next run really starts over
	@$(BIN)/sfar clean-cache

clean: ## remove the environment and all kept work
	rm -rf $(VENV) $(SITE) .cache results/runs preview site
