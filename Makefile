# Every target installs what it needs into .venv; only Python 3.11 or newer with venv, git and make are needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# The lock is complete and pip resolves nothing, so every pip version installs the same.
INSTALL := $(BIN)/python -m pip install --quiet --no-deps
INSTALL_LOCK := $(INSTALL) --require-hashes -r requirements.lock

.DEFAULT_GOAL := help
.PHONY: help setup demo serve test test-setup test-capable test-vllm test-clients test-browser test-slow test-live conformance lint fix bench bench-peers bench-check soak licences lock

help:  ## show this
	@grep -E '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

setup: $(STAMP)  ## install everything into .venv, exactly as locked

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(INSTALL_LOCK)
	$(INSTALL) --no-build-isolation --editable .
	$(BIN)/python -m pip check
	touch $(STAMP)

demo: setup  ## pull a model and run the four tools on sample files (SMALL=1: the smaller model)
	$(BIN)/local-llm-agent models pull $(if $(SMALL),--small)
	LOCAL_LLM_ENGINE=llamacpp $(if $(SMALL),LOCAL_LLM_LLAMACPP__MODEL=qwen2.5-coder-0.5b) $(BIN)/python -P docs/demo.py

serve: setup  ## listen on 127.0.0.1:3160
	$(BIN)/local-llm-agent serve

test: setup  ## run the tests, including those of the embedded test model
	$(BIN)/local-llm-agent models pull smollm2-135m all-minilm-l6-v2
	$(BIN)/python -m pytest --cov

test-setup:  ## install a clean copy with each Python 3.11, 3.12, 3.13 on this machine (at least two) and its own pip
	$(PYTHON) -P tests/setup_check.py

test-capable: setup  ## pull the capable models and run the tests that need them (at most 15 minutes on 2 cores)
	$(BIN)/local-llm-agent models pull qwen2.5-coder-1.5b qwen2.5-coder-0.5b all-minilm-l6-v2
	$(BIN)/python -m pytest -m capable tests

test-vllm: setup  ## build vLLM for the CPU in its own environment and run its tests (20 minutes the first time)
	$(BIN)/python -m pytest -m vllm tests

test-clients: setup  ## install the real Claude Code, Gemini CLI, Codex and test them with this server (needs npm)
	$(BIN)/python -m pytest -m clients tests/clients

test-browser: setup  ## test the dashboard with the Chromium of this machine
	$(BIN)/python -m pytest -m browser tests/mcp_server

test-slow: setup  ## send the whole hostile corpus through every transport (five minutes)
	$(BIN)/python -m pytest -m slow tests

test-live: setup  ## run the contract suite against the Ollama at OLLAMA_HOST
	$(BIN)/python -m pytest -m live tests

conformance: setup  ## run the MCP conformance suites and inspector (needs npm)
	$(BIN)/python -P -m tests.conformance

lint: setup  ## check style, types, import contracts and, where a database is in reach, known vulnerabilities
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonplatform Linux
	$(BIN)/pyright --pythonplatform Darwin
	$(BIN)/pyright --pythonplatform Windows
	$(BIN)/lint-imports
	$(BIN)/python -P tests/audit.py

fix: setup  ## fix style automatically
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup  ## measure the performance targets, each with its baseline (docs/performance.md)
	$(BIN)/python -P -m benchmarks

bench-peers: setup  ## the same with LiteLLM and Portkey for comparison (needs npm)
	$(BIN)/python -P -m benchmarks --peers

bench-check: setup  ## fail if overhead or start-up is 20 % worse than the stored figures
	$(BIN)/python -P -m benchmarks --check

soak: setup  ## three agents during faults for MINUTES (30), with MODEL (qwen2.5-coder-1.5b); the full disk needs root
	$(BIN)/local-llm-agent models pull $(or $(MODEL),qwen2.5-coder-1.5b) all-minilm-l6-v2
	$(BIN)/python -P -m tests.soak --minutes $(or $(MINUTES),30) --model $(or $(MODEL),qwen2.5-coder-1.5b)

licences: setup  ## regenerate docs/licences.md
	$(BIN)/python -P docs/licences.py

# `lock` cannot depend on `setup`, which fails after a change of the dependencies until the lock is updated.
$(BIN)/uv:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL_LOCK)

lock: $(BIN)/uv  ## regenerate requirements.lock (exact versions with hashes, no index URL) and test it as test-setup does
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --extra dev --generate-hashes --no-strip-extras \
		--no-emit-index-url --no-emit-find-links --no-annotate --no-header --output-file requirements.lock pyproject.toml
	$(PYTHON) -P tests/setup_check.py
