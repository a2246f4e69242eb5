"""onnxruntime computes the same network as dlib."""

from pathlib import Path

import dlib
import numpy as np
import onnxruntime
import pytest

from biometrics.engines.dlib_onnx import installed_models
from biometrics.engines.dlib_weights import WeightsUnreadable, read_resnet
from biometrics.engines.resnet_graph import CHIP_SIDE, INPUT, resnet_model
from tests.support.biometrics.pictures import noise_picture

RESNET = installed_models() / "dlib_face_recognition_resnet_model_v1.dat"


def test_descriptors_equal_those_of_dlib() -> None:
    chips = [
        np.asarray(noise_picture(CHIP_SIDE + 2, CHIP_SIDE + 2, seed).crop((0, 0, CHIP_SIDE, CHIP_SIDE)))
        for seed in range(4)
    ]
    theirs = np.asarray(dlib.face_recognition_model_v1(str(RESNET)).compute_face_descriptor(chips))
    session = onnxruntime.InferenceSession(resnet_model(read_resnet(RESNET)))
    batch = np.stack(chips).transpose(0, 3, 1, 2).astype(np.float32)
    (ours,) = session.run(None, {INPUT: batch})
    assert np.abs(ours - theirs).max() < 1e-6


def test_other_files_are_rejected(tmp_path: Path) -> None:
    broken = tmp_path / "broken.dat"
    broken.write_bytes(RESNET.read_bytes()[:100_000])
    with pytest.raises(WeightsUnreadable):
        read_resnet(broken)
    with pytest.raises(WeightsUnreadable):
        read_resnet(tmp_path / "absent.dat")
