"""`python -m bench.dashboards`."""

from bench.dashboards.benchmark import main

main()
