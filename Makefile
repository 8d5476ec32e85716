# SFAR: a paper you can run. `make help` lists the targets.
PYTHON  ?= python3
VENV    := .venv
BIN     := $(VENV)/bin
PROFILE ?= storyboard
SEEDS   ?=
DATA    ?=
JOBS    ?=
OPTIONS  = --profile $(PROFILE) $(if $(SEEDS),--seeds $(SEEDS)) $(if $(DATA),--data "$(DATA)") $(if $(JOBS),--jobs $(JOBS))

.DEFAULT_GOAL := help
FIGURES := fig4 fig7b fig8 table2d table6 table7 table13 table14

.PHONY: help env reproduce-table1 $(FIGURES:%=reproduce-%) test test-fast notebooks lab preview pretrain clean-cache clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  options: PROFILE=storyboard|paper  SEEDS=0,1,2  DATA=/path/to/k400  JOBS=n  PYTHON=python3.12"

env: $(VENV)/.ready  ## create .venv from the lock file (names, versions, hashes)

$(VENV)/.ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ": try make PYTHON=python3.12 ...")'
	@echo "Creating $(VENV) from requirements.lock (a few minutes, about 6 GB)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

reproduce-table1: env  ## Table 1 (and 11): draw, train, evaluate, execute the notebook, write results/
	@$(BIN)/sfar reproduce table1 $(OPTIONS)

reproduce-fig7b: env  ## Figure 7b: 15 groups of sub-texts, TPP against accuracy
reproduce-table2d: env  ## Table 2d: the same groups, TPP and accuracy (one measurement with Figure 7b)
reproduce-fig4: env  ## Figure 4: sub-texts of a dive
reproduce-fig8: env  ## Figure 8: sub-texts by several generators
reproduce-table6: env  ## Table 6: the question prompts
reproduce-table7: env  ## Table 7: the system prompt (one page with Table 6)
reproduce-table13: env  ## Table 13: calls, tokens, seconds and accuracy of sub-texts
reproduce-table14: env  ## Table 14: sub-texts from visual context (one rehearsal with Table 13)
$(FIGURES:%=reproduce-%):
	@$(BIN)/sfar reproduce $(@:reproduce-%=%) $(OPTIONS)

test: env  ## the whole suite: pytest, then nbval on the notebooks
	@$(BIN)/python -m pytest tests
	@$(BIN)/python -m pytest --nbval-lax --nbval-cell-timeout 300 --nbval-kernel-name python3 -p no:cacheprovider notebooks

test-fast: env  ## the suite without the runs that train a full seed of every method
	@$(BIN)/python -m pytest tests -m "not slow"

notebooks: env  ## execute the notebooks with their default parameters and keep the outputs
	@for n in notebooks/[0-9]*.ipynb; do $(BIN)/sfar notebook $$n --refresh || exit 1; done

lab: env  ## open the notebooks in JupyterLab
	@$(BIN)/jupyter lab notebooks

preview: env  ## contact sheets of the storyboard world, into preview/
	@$(BIN)/sfar storyboard preview --out preview

pretrain: env  ## train the storyboard world's CLIP again (about 20 minutes; changes the committed weights)
	@$(BIN)/sfar pretrain

clean-cache: env  ## remove all kept work, so that the next run really starts over
	@$(BIN)/sfar clean-cache

clean: ## remove the environment and all kept work
	rm -rf $(VENV) .cache results/runs preview
