# The two commands a fresh machine needs are `make demo` and `make test`. Each makes .venv itself. `./run` is the same without make.
.DEFAULT_GOAL := help
SEEDS ?= 1000

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## count words on a real cluster of processes while parts of it are killed
	@./run demo $(ARGS)

test: ## everything that proves it works: style, types, units, real servers, foreign clients
	@./run test $(ARGS)

check: ## style and types only
	@./run check

proto: ## make the committed stubs from protos/
	@./run proto

sim: ## SEEDS=1000 schedules of the deterministic simulator
	@./run sim --seeds $(SEEDS) $(ARGS)

bench: ## side-by-side measurements
	@./run bench $(ARGS)

clean: ## remove what the targets above made here
	@./run clean

.PHONY: help demo test check proto sim bench clean
