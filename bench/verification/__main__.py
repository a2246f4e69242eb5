"""`python -m bench.verification`."""

from bench.verification.benchmark import main

main()
