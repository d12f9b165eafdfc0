# Every target does its own set-up; only Python 3.11+, make and a package
# registry are needed.
#
#   make demo                  index docs/, ask, and look at the wire, with LangChain
#                              and with LlamaIndex; FRAMEWORK=langchain is one of them
#   make demo CONFIDENTIAL=0   the same in clear: the search must now find the text
#   make demo FOLDER="$HOME/notes" QUESTION="What did I promise?"
#   make chat-page             a chat page on this machine, and a view of its wire
#   make test                  lint, types, tests, coverage, wheel
#   make ecosystem             its last part: real vector stores, agents, clusters
#                              and a real engine
#   make docs                  the documentation as a site, in build/site
#   make release-check         what is to be released, as its users will get it
#   make fuzz SECONDS=60       fuzz each parser for a minute (Linux); TARGET=sse is one
#   make soak MINUTES=10       both frameworks before an Atoma that misbehaves; SEED=7
#   make soak-index KILLS=50   indexing that is killed and resumed; SEED=7
#   make bulk-index KILLS=10 PASSAGES=100000
#                              bulk indexing on Ray, likewise; WORKERS="1 2 4" kills
#                              nothing, and measures
#   make bench                 measure against other providers, and write
#                              docs/performance.md; ONLY=streams is one part, QUICK=1
#                              a trial run that writes nothing there
#   make bench-check           count instructions of the hot paths, and compare with
#                              benchmarks/baseline.json; UPDATE=1 writes that
#   make clean                 remove what the targets made

VENV         ?= .venv
VENV_SDK     ?= .venv-sdk
VENV_OPENAI  ?= .venv-openai
VENV_ECO     ?= .venv-ecosystem
VENV_BENCH   ?= .venv-bench
VENV_DOCS    ?= .venv-docs
VENV_RELEASE ?= .venv-release
SDK          := atoma-sdk==0.1.3
OPENAI       := openai==3.57.0 'pydantic-ai-slim[openai]==2.68.0'
FOLDER       ?= docs
QUESTION     ?= What can the proxy see?
FRAMEWORK    ?= both
CONFIDENTIAL ?= 1
SECONDS      ?= 60
TARGET       ?= all
MINUTES      ?= 10
PASSAGES     ?= 100000
SEED         ?= 7

BIN  := $(VENV)/bin
# pip, but some ten times as fast; for the environment whose Python runs it. NLTK, which
# LlamaIndex brings along, refuses to read what is linked from a cache.
UV    = UV_LINK_MODE=copy VIRTUAL_ENV="$(abspath $(1))" $(1)/bin/python -m uv pip --quiet

export FOLDER FRAMEWORK QUESTION
# Where it is set, each of the many processes of the tests would compile all that it
# imports, and pytest each test.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo chat-page test ready environments lint types core core-slow core-rest
.PHONY: others docs ecosystem release-check fuzz soak soak-index bulk-index
.PHONY: bench bench-check clean

help:
	@sed -n 's/^#   /  /p' Makefile

demo: $(VENV)/.demo
	@$(BIN)/python -m atoma_cli.demo "$$FOLDER" "$$QUESTION" \
		--framework "$$FRAMEWORK" \
		$(if $(filter 0 no false,$(CONFIDENTIAL)),--no-confidential)

chat-page: $(VENV)/.demo
	@$(BIN)/python examples/chat_page/chat_page.py

test: ready core others ecosystem

# What needs one core only, or waits for a package registry, side by side.
ready:
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target \
		lint types docs environments

environments: $(VENV_SDK)/.ready $(VENV_OPENAI)/.ready $(VENV_ECO)/.ready

lint: $(VENV)/.test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/lint-imports

types: $(VENV)/.test
	$(BIN)/mypy

# All of the core is covered by its own tests; tracing any others would only cost time.
# Two halves, side by side, that take about as long as each other.
core: $(VENV)/.test
	$(BIN)/coverage erase
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target core-slow core-rest
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report --fail-under=100

CORE_SLOW := tests/confidential/test_each_byte.py

core-slow: $(VENV)/.test
	$(BIN)/coverage run --parallel-mode -m pytest $(CORE_SLOW)

core-rest: $(VENV)/.test
	$(BIN)/coverage run --parallel-mode -m pytest tests/confidential \
		$(addprefix --ignore=,$(CORE_SLOW))

# tests/test_packaging.py builds the wheel and installs it into an environment of
# its own; tests/interop runs the official SDK in $(VENV_SDK), and the OpenAI SDK 3.x,
# which LlamaIndex's classes do not take, in $(VENV_OPENAI). A file of tests stays in
# one process, so that what it sets up once is set up once. Some only wait, for limits
# that are met or programs that are killed: so one process more than CI has cores.
others: $(VENV)/.test $(VENV_SDK)/.ready $(VENV_OPENAI)/.ready
	ATOMA_SDK_PYTHON="$(abspath $(VENV_SDK))/bin/python" \
	ATOMA_OPENAI_PYTHON="$(abspath $(VENV_OPENAI))/bin/python" \
		$(BIN)/pytest --ignore=tests/confidential --ignore=tests/ecosystem \
		--numprocesses=3 --dist=loadfile --no-loadscope-reorder

# Real vector stores, agents, clusters and an engine, which are heavy, in an
# environment of their own.
ecosystem: $(VENV_ECO)/.ready
	$(VENV_ECO)/bin/pytest tests/ecosystem \
		--numprocesses=auto --maxprocesses=4 --dist=loadfile --timeout=180

docs: $(VENV_DOCS)/.ready
	NO_MKDOCS_2_WARNING=1 $(VENV_DOCS)/bin/mkdocs --quiet build --strict --clean

# What is to be released: looked at, installed with the oldest and the newest of what it
# needs, used, type-checked from outside, and listed.
release-check: $(VENV_RELEASE)/.ready
	rm -rf dist
	$(VENV_RELEASE)/bin/python -m build --outdir dist
	$(VENV_RELEASE)/bin/python tests/release/check.py dist

# Led by coverage; what it finds is kept in build/fuzz.
fuzz: $(VENV)/.fuzz
	$(BIN)/python tests/fuzz/fuzz.py --seconds "$(SECONDS)" $(TARGET)

soak: $(VENV)/.test
	$(BIN)/python tests/soak --minutes "$(MINUTES)" --seed "$(SEED)"

soak-index: $(VENV)/.test
	$(BIN)/python tests/soak/kills.py --kills "$(or $(KILLS),50)" --seed "$(SEED)"

bulk-index: $(VENV_ECO)/.ready
	$(VENV_ECO)/bin/python tests/soak/bulk.py --passages "$(PASSAGES)" \
		--seed "$(SEED)" --kills "$(or $(KILLS),10)" $(if $(WORKERS),--measure $(WORKERS))

bench: $(VENV_BENCH)/.ready $(VENV_SDK)/.ready
	@$(VENV_BENCH)/bin/python -m benchmarks \
		--sdk-python "$(abspath $(VENV_SDK))/bin/python" \
		$(foreach part,$(ONLY),--only $(part)) $(if $(QUICK),--quick)

bench-check: $(VENV_BENCH)/.ready
	@$(VENV_BENCH)/bin/python -m benchmarks.check $(if $(UPDATE),--update) \
		$(foreach path,$(ONLY),--only $(path))

clean:
	rm -rf $(VENV) $(VENV_SDK) $(VENV_OPENAI) $(VENV_ECO) $(VENV_BENCH) \
		$(VENV_DOCS) $(VENV_RELEASE) build dist .coverage* .hypothesis .*_cache

# --- environments -----------------------------------------------------------------

$(VENV)/.demo: $(VENV)/.made
	@echo "Installing (once, less than a minute) …"
	@$(call UV,$(VENV)) install --editable '.[all]'
	@touch $@

$(VENV)/.test: $(VENV)/.made
	@echo "Installing with the test tools (once, about a minute) …"
	@$(call UV,$(VENV)) install --editable '.[all]' --group test --group lint
	@touch $@ $(VENV)/.demo

$(VENV)/.fuzz: $(VENV)/.test
	@$(call UV,$(VENV)) install --only-binary atheris --group fuzz || { \
		echo "atheris has no wheel for $$($(BIN)/python -V) on this machine; it" >&2; \
		echo "has some for CPython 3.11 to 3.13 on Linux (x86-64). What the" >&2; \
		echo "fuzzer starts from is replayed by 'make test' without it." >&2; exit 1; }

$(VENV_ECO)/.ready: pyproject.toml
	@echo "Installing vector stores and what else is used with us (once, about a minute) …"
	@$(call make_venv,$(VENV_ECO))
	@$(call UV,$(VENV_ECO)) install --editable '.[all]' --group ecosystem
	@touch $@

$(VENV_RELEASE)/.ready: pyproject.toml
	@$(call make_venv,$(VENV_RELEASE))
	@$(call UV,$(VENV_RELEASE)) install --group release
	@touch $@

$(VENV_DOCS)/.ready: pyproject.toml
	@$(call make_venv,$(VENV_DOCS))
	@$(call UV,$(VENV_DOCS)) install --group docs
	@touch $@

$(VENV_BENCH)/.ready: pyproject.toml
	@echo "Installing whom to compare with (once, about a minute) …"
	@$(call make_venv,$(VENV_BENCH))
	@$(call UV,$(VENV_BENCH)) install \
		--editable '.[langchain,llama-index,local]' --group bench
	@touch $@

$(VENV)/.made: pyproject.toml
	@$(call make_venv,$(VENV))
	@touch $@

$(VENV_SDK)/.ready: Makefile
	@$(call make_venv,$(VENV_SDK))
	@$(call UV,$(VENV_SDK)) install $(SDK)
	@touch $@

$(VENV_OPENAI)/.ready: Makefile pyproject.toml
	@$(call make_venv,$(VENV_OPENAI))
	@$(call UV,$(VENV_OPENAI)) install $(OPENAI) --editable .
	@touch $@

# A Python can be new enough and still lack what `venv` needs (Debian splits it off),
# or be a shim with nothing behind it: so each candidate is run. `editables` is what our
# editable installation needs, and says only once it is built, which uv does not read.
define make_venv
for python in $(PYTHON) python3.13 python3.12 python3.11 python3 python; do \
	if $$python -c 'import ensurepip, sys, venv; \
	sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then \
		rm -rf $(1); $$python -m venv $(1) && \
		exec $(1)/bin/python -m pip -qq --disable-pip-version-check install \
			'uv>=0.9' 'editables>=0.5'; \
	fi; \
done; \
echo "Python 3.11 or newer with its venv module is needed; none was found." >&2; \
echo "Install one, or name it: make PYTHON=/path/to/python3.12 …" >&2; exit 1
endef
