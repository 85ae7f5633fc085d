PYTHON ?= python3

.DEFAULT_GOAL := help
.PHONY: help start stop token invoke test test-client bench bench-check docs openapi client deploy check-template

help:
	@$(PYTHON) -m dev help

start:
	@$(PYTHON) -m dev start $(if $(PORT),--port "$(PORT)")

stop:
	@$(PYTHON) -m dev stop

token:
	@$(PYTHON) -m dev token $(if $(EMAIL),--email "$(EMAIL)")

invoke:
	@$(PYTHON) -m dev invoke "$(OPERATION)" $(if $(EVENT),--event "$(EVENT)")

test:
	@$(PYTHON) -m dev test $(ARGS)

test-client:
	@$(PYTHON) -m dev test-client $(ARGS)

bench:
	@$(PYTHON) -m dev bench $(ARGS)

bench-check:
	@$(PYTHON) -m dev bench-check

docs:
	@$(PYTHON) -m dev docs

openapi:
	@$(PYTHON) -m dev openapi

client:
	@$(PYTHON) -m dev client

deploy:
	@$(PYTHON) -m dev deploy $(ARGS)

check-template:
	@$(PYTHON) -m dev check-template
