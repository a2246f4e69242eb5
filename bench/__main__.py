"""`make bench`: runs every benchmark in its own process. `make bench ARGS="--seed 9 fence face"` runs some."""

import argparse
import os
import subprocess
import sys

BENCHMARKS = {
    "fence": ["bench.position.fence"],
    "position": ["bench.position.signals"],
    "face": ["bench.face"],
    "face-accuracy": ["bench.face.accuracy"],
    "second-face": ["bench.face.second_face"],
    "liveness": ["bench.liveness"],
    "flat-pictures": ["bench.liveness.flat_pictures"],
    "template-loss": ["bench.face.template_loss"],
    "picture-sealing": ["bench.face.picture_sealing"],
    "one-face-two-students": ["bench.face.one_face_two_students"],
    "intake": ["bench.intake"],
    "dashboards": ["bench.dashboards"],
    "roster": ["bench.roster", "--rows", "20000"],
    "standing": ["bench.standing"],
    "province": ["bench.province"],
    "lists": ["bench.lists"],
    "verification": ["bench.verification"],
    "web": ["bench.web"],
    "check-in-time": ["bench.check_in_time"],
}


def main(argv: list[str]) -> int:
    """Run the benchmarks. Returns the highest exit code."""
    parser = argparse.ArgumentParser(prog="make bench")
    parser.add_argument("benchmarks", nargs="*", metavar="benchmark", help=", ".join(BENCHMARKS))
    parser.add_argument("--seed", type=int, help="random seed for all benchmarks; each has its own default")
    arguments = parser.parse_args(argv)
    unknown = set(arguments.benchmarks) - set(BENCHMARKS)
    if unknown:
        parser.error(f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}")
    environment = dict(os.environ)
    if arguments.seed is not None:
        environment["DIANMING_BENCH_SEED"] = str(arguments.seed)
    return max(
        subprocess.run([sys.executable, "-m", *BENCHMARKS[name]], check=False, env=environment).returncode
        for name in arguments.benchmarks or BENCHMARKS
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
