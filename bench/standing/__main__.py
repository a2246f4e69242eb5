"""`python -m bench.standing`."""

from bench.standing.benchmark import main

main()
