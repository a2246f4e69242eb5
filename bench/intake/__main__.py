"""`python -m bench.intake`."""

from bench.intake.benchmark import main

main()
