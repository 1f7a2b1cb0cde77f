# Each task is one command. CI runs the same commands.

PYTHON ?= python3
CARGO ?= cargo
VENV := target/test-venv
CLIENTS := tests/js tests/browser
CONFIG ?= examples/agent/langgraph.json
# Starts Postgres and Redis for the duration of one command (tests/services).
SERVICES := target/debug/langopen-test-services
WITH_SERVICES := $(SERVICES)

.PHONY: help up build test test-rust test-host test-sdk test-sdk-memory test-sdk-postgres test-sdk-typescript test-sdk-rust test-clients test-clients-memory test-clients-typescript test-clients-rust test-faults chromium lint fmt doc gates features package public-api advisories bench bench-cluster bench-doors deny clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-16s %s\n", $$1, $$2}'

up: ## Serve the example agent on http://127.0.0.1:2024
	$(CARGO) run --locked --release -p langopen -- up --config $(CONFIG)

build: ## Build the binary
	$(CARGO) build --locked -p langopen

test: test-rust test-host test-sdk test-sdk-memory test-sdk-postgres test-sdk-typescript test-sdk-rust test-clients test-clients-typescript test-clients-rust ## Run every test

test-rust: $(SERVICES) ## Unit, conformance and API tests, and the docs' examples
	$(WITH_SERVICES) $(CARGO) test --locked --workspace --all-features

# Cargo decides whether the program is up to date, not make.
.PHONY: $(SERVICES)
$(SERVICES):
	$(CARGO) build --locked --workspace --all-features --bin langopen-test-services

test-host: $(VENV)/.complete ## The graph hosts: Python's through its socket, node's part by part
	$(PYTEST) langopen-runner/python/tests
	node --test langopen-runner/node/tests

# Two processes run the tests, one file at a time: the tests of a file share a server. The files keep conftest.py's order.
PYTEST := $(VENV)/bin/python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder

# The files that use the shared graphs. All others have their own applications, or test only the server.
GRAPH_SUITES := $(addprefix tests/sdk/test_,$(addsuffix .py,a2a assistants batch cancel concurrency copy_fork cut_and_rejoin graph_errors graph_targets \
	interrupts javascript_errors multitask protocol remote_graph restart resumable run_ends runs_create_wait_join state_history stateless store \
	stream_modes subgraph_streams sync_client thread_stream))
# The files that test how `langopen up` builds and starts applications, or the API document. Neither depends on the
# storage or on separate processes.
START_SUITES := $(addprefix tests/sdk/test_,$(addsuffix .py,cli_errors document javascript_errors package_managers))
# The files whose results depend on the storage.
STORAGE_SUITES := $(filter-out %/test_javascript_errors.py,$(GRAPH_SUITES)) $(addprefix tests/sdk/test_,$(addsuffix .py,auth counts crons metrics \
	regressions retention store_meaning threads webhooks))

test-sdk: $(VENV)/.complete $(SERVICES) ## The stock Python SDK against the real binary
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(WITH_SERVICES) $(PYTEST) tests/sdk

test-sdk-memory: $(VENV)/.complete ## The tests of storage, with all data in memory
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_DATABASE=memory: LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(PYTEST) $(STORAGE_SUITES)

test-sdk-postgres: $(VENV)/.complete $(SERVICES) ## The SDK tests of storage, graphs and doors with an API server, a worker and a runner, over Postgres and Redis
	$(CARGO) build --locked --workspace --all-features --bins
	LANGOPEN_TEST_DATABASE=postgres LANGOPEN_TEST_SEPARATE=1 LANGOPEN_TEST_DATA=$(abspath target/sdk-data) \
		$(WITH_SERVICES) sh -c 'LANGOPEN_TEST_REDIS=$$REDIS_URL exec $(PYTEST) $(filter-out $(START_SUITES),$(wildcard tests/sdk/test_*.py))'

test-sdk-typescript: $(VENV)/.complete ## The SDK tests of graphs, with the graphs in TypeScript
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_APP=app_ts LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(PYTEST) $(GRAPH_SUITES)

test-sdk-rust: $(VENV)/.complete ## The SDK tests of graphs, with the graphs in Rust inside their own server
	$(CARGO) build --locked --workspace --all-features --bin langopen-test-app
	LANGOPEN_TEST_APP=app_rust LANGOPEN_TEST_DATA=$(abspath target/sdk-data) \
		$(PYTEST) $(filter-out %/test_javascript_errors.py,$(GRAPH_SUITES))

WITH_SERVER := $(VENV)/bin/python tests/with_server.py node --test --test-reporter=spec --test-concurrency=4
CLIENT_TESTS := $(WITH_SERVER) $(CLIENTS:%=%/*.test.js)

# The tests that depend most on the graphs. RUST_CLIENT_TESTS='tests/js/*.test.js' selects all tests.
RUST_CLIENT_TESTS ?= tests/js/protocol.test.js

test-clients: $(VENV)/.complete $(CLIENTS:%=%/node_modules/.complete) chromium ## The JavaScript SDK, and useStream in a browser, against the real binary
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(CLIENT_TESTS)

test-clients-memory: $(VENV)/.complete $(CLIENTS:%=%/node_modules/.complete) chromium ## The client tests with all data in memory
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_DATABASE=memory: LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(CLIENT_TESTS)

test-clients-typescript: $(VENV)/.complete $(CLIENTS:%=%/node_modules/.complete) chromium ## The event streaming protocol with the graphs in TypeScript
	$(CARGO) build --locked --workspace --all-features --bin langopen
	LANGOPEN_TEST_APP=app_ts LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(WITH_SERVER) $(CLIENTS:%=%/protocol.test.js)

test-clients-rust: $(VENV)/.complete tests/js/node_modules/.complete ## The event streaming protocol from node, with the graphs in Rust
	$(CARGO) build --locked --workspace --all-features --bin langopen-test-app
	LANGOPEN_TEST_APP=app_rust LANGOPEN_TEST_DATA=$(abspath target/sdk-data) $(WITH_SERVER) $(RUST_CLIENT_TESTS)

test-faults: ## Break a whole platform for a minute, and check that no data was lost (tests/faults/README.md)
	$(CARGO) build --locked --workspace --all-features --bin langopen --bin langopen-api-server --bin langopen-worker --bin langopen-runner --bin langopen-faults
	target/debug/langopen-faults --seconds 45 $(FAULTS_ARGS)

chromium:
	@for name in "$$LANGOPEN_TEST_CHROMIUM" chromium chromium-browser google-chrome google-chrome-stable; do \
		command -v "$$name" >/dev/null && exit 0; done; \
		echo "the browser tests need Chromium or Chrome: apt-get install chromium, or set LANGOPEN_TEST_CHROMIUM" >&2; exit 1

# No package needs its install scripts.
%/node_modules/.complete: %/package-lock.json
	@node --version 2>/dev/null | grep -Eq '^v([2-9][0-9])' && command -v npm >/dev/null || \
		{ echo "the client tests need node 20 or newer, and npm: https://nodejs.org, or apt-get install nodejs npm" >&2; exit 1; }
	npm ci --prefix $* --ignore-scripts --no-audit --no-fund --loglevel=error
	touch $@

REQUIREMENTS := tests/sdk/requirements.txt langopen-runner/python/tests/requirements.txt

$(VENV)/.complete: $(REQUIREMENTS)
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check $(REQUIREMENTS:%=-r %)
	touch $@

lint: ## Formatting and lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets --all-features -- -D warnings

fmt: ## Format
	$(CARGO) fmt --all

doc: ## Build the crates' documentation, with warnings as errors
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --lib --all-features --no-deps

PUBLISHED := langopen-core langopen-backends langopen-testkit langopen-graph langopen-api langopen-worker langopen-runner langopen

gates: public-api deny features package ## Release checks: documentation, public APIs, licences, features, packages (needs cargo-deny and cargo-hack)

deny: ## Licences, duplicate dependencies and their sources (needs cargo-deny)
	$(CARGO) deny --locked check bans licenses sources

advisories: ## Known vulnerabilities of dependencies (needs cargo-deny and a network)
	$(CARGO) deny --locked check advisories

features: ## Check each published crate alone, with every pair of its features (needs cargo-hack)
	$(CARGO) hack check --locked --feature-powerset --exclude-features default --depth 2 $(PUBLISHED:%=-p %)

package: ## Pack each published crate as cargo publish would
	$(CARGO) package --locked --allow-dirty --no-verify $(PUBLISHED:%=-p %)

public-api: ## Compare the public APIs with their listings, with warnings of rustdoc as errors (tests/public_api)
	$(CARGO) run --locked --quiet -p langopen-public-api

bench: ## Compare with langgraph dev and the bare library in one run (tests/bench/README.md)
	$(CARGO) build --locked --release -p langopen -p langopen-bench
	target/release/langopen-bench compare $(BENCH_ARGS)

bench-cluster: ## Measure the platform as several processes, beside Aegra (tests/bench/README.md)
	$(CARGO) build --locked --release -p langopen -p langopen-bench
	target/release/langopen-bench cluster $(BENCH_ARGS)

bench-doors: ## Measure TypeScript graphs and the thread protocol (tests/bench/README.md)
	$(CARGO) build --locked --release -p langopen -p langopen-bench
	target/release/langopen-bench doors $(BENCH_ARGS)

clean: ## Remove all build results
	$(CARGO) clean
