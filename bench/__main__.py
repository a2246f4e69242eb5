"""`make bench`: every benchmark, each in a process of its own; `make bench ARGS="fence face"` runs some."""

import subprocess
import sys

BENCHMARKS = {
    "fence": ["bench.fence"],
    "face": ["bench.face"],
    "face-accuracy": ["bench.face_accuracy"],
    "liveness": ["bench.liveness"],
    "template-loss": ["bench.template_loss"],
    "intake": ["bench.intake"],
    "dashboards": ["bench.dashboards"],
    "roster": ["bench.roster", "--rows", "20000"],
    "standing": ["bench.standing"],
    "province": ["bench.province"],
    "verification": ["bench.verification"],
}


def main(asked: list[str]) -> int:
    """Run them; the worst exit code."""
    unknown = set(asked) - set(BENCHMARKS)
    if unknown:
        sys.stderr.write(
            f"no such benchmark: {', '.join(sorted(unknown))}; there are {', '.join(BENCHMARKS)}\n"
        )
        return 2
    return max(
        subprocess.run([sys.executable, "-m", *BENCHMARKS[name]], check=False).returncode
        for name in asked or BENCHMARKS
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
