"""`python -m bench.liveness`."""

from bench.liveness.benchmark import main

main()
