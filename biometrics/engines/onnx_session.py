"""Inference sessions on one thread: parallel work uses several processes, each with its own network."""

import onnxruntime


def single_threaded_session(model: bytes) -> onnxruntime.InferenceSession:
    """A session of onnxruntime that computes on the caller's thread only."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; unused weights of a folded graph are no news
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
