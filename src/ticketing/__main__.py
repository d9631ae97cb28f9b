"""`python -m ticketing`: the command without its script."""

from ticketing.cli import main

main()
