# `make` alone lists the commands; each is one of run.py's, which works without make too.
.DEFAULT_GOAL := help
COMMANDS := demo serve test check format heavy bench lock docs openapi

.PHONY: help $(COMMANDS)

help:
	@python3 run.py help

$(COMMANDS):
	@python3 run.py $@ $(ARGUMENTS)
