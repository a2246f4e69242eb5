"""How often another person in the picture is seen, by the width of the second face relative to the first.

The pictures are composed of the sample photographs. Printed by `python -m bench second-face`.
"""

from pathlib import Path
from typing import Any

from backend.devstack.sample_faces import sample_faces_dir, sample_people
from bench.face.two_people import cut_out_face, detection_rate, sees_second_face
from bench.report import publish
from biometrics.engines.sface import SFaceEngine

ROOT = Path(__file__).resolve().parents[2]
RATIOS = (0.3, 0.4, 0.5, 0.55, 0.6, 0.7, 0.8, 1.0)
SHARES = (0.3, 0.42)
PER_PERSON = 4


def main() -> None:
    """Measure and publish."""
    engine = SFaceEngine()
    people = sample_people(sample_faces_dir(ROOT))
    cut_outs = [cut_out_face(engine, paths[0]) for paths in people.values()]
    faces = [face for face in cut_outs if face is not None]
    rows: list[dict[str, Any]] = []
    for ratio in RATIOS:
        row: dict[str, Any] = {"second face": f"{ratio:.2f} of the width"}
        for share in SHARES:
            for name, thorough in (("burst", False), ("enrolment", True)):
                seen, pictures = detection_rate(engine, faces, ratio, share=share, thorough=thorough)
                row[f"{name}, face {share:.2f} of the picture"] = f"{seen}/{pictures}"
        rows.append(row)
    alone = [path.read_bytes() for paths in people.values() for path in paths[:PER_PERSON]]
    flagged = sum(sees_second_face(engine, each, thorough=True) for each in alone)
    none = dict.fromkeys(rows[0], "–") | {"second face": f"none, in {len(alone)} photographs"}
    rows.append(none | {f"enrolment, face {SHARES[0]:.2f} of the picture": f"{flagged}/{len(alone)}"})
    publish("second-face", "the limit of one half (QualityLimits.max_second_face_ratio)", rows)


if __name__ == "__main__":
    main()
