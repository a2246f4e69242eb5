"""`python -m bench.face`."""

from bench.face.benchmark import main

main()
