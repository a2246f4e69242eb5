"""`python -m bench.province`."""

from bench.province.benchmark import main

main()
