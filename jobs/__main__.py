"""`python -m jobs` is `nightfleet`."""

from jobs.cli import main

main()
