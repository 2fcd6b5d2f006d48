# Barrage. Every target is a line of `make help`; the work is in scripts/.

.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory
ARGS ?=
export ARGS

.PHONY: help setup build run test fmt lint doc deny unit web pages interop cluster smoke metrics fuzz-smoke churn bench chaos screenshots

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## install what the tests need: browser, fonts, npm, Python and cargo packages
	@scripts/test.sh setup

build: ## build the programs: the gateway, the load tester and the bridge worker
	@scripts/test.sh build

run: ## run the gateway for trying it out: http://127.0.0.1:8080/ (ARGS="--tick 250")
	cargo run --release --locked -- --dev $(ARGS)

test: ## everything that CI runs: the targets from fmt to fuzz-smoke, with a summary
	@scripts/test.sh

fmt: ## check the formatting (cargo fmt --all repairs it)
	@scripts/test.sh fmt

lint: ## clippy on everything, and shellcheck where it is installed; warnings are errors
	@scripts/test.sh lint

doc: ## build the documentation of the crates; warnings are errors
	@scripts/test.sh doc

deny: ## check licences, sources and advisories of all dependencies
	@scripts/test.sh deny

unit: ## the tests of all crates, the house rules among them
	@scripts/test.sh unit

web: ## the tests of the browser side, pages against a fake gateway
	@scripts/test.sh web

pages: ## the pages in Chromium against the release gateway
	@scripts/test.sh pages

interop: ## the gateway with Chromium, Python websockets and node ws
	@scripts/test.sh interop

cluster: ## two gateways, NATS and the archive, started as docs/cluster.md says
	@scripts/test.sh cluster

smoke: ## the release binaries: pages, health, and a replay whose account closes
	@scripts/test.sh smoke

metrics: ## promtool checks the text of the metrics
	@scripts/test.sh metrics

fuzz-smoke: ## every fuzz target for a few seconds (needs a nightly Rust)
	@scripts/test.sh fuzz-smoke

churn: ## 200,000 clients that come and go over 20,000 rooms leave no memory behind (minutes)
	@scripts/churn.sh

bench: ## measure what docs/performance.md tells, and write it (ARGS="bare render" for some steps)
	@scripts/bench.sh $(ARGS)

chaos: ## survival at full size: every fault on four gateways and a cluster of NATS (ARGS="--seed 1")
	@scripts/test.sh chaos

screenshots: ## take the pictures of the README anew
	@scripts/test.sh screenshots
