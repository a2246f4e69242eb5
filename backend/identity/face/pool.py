"""The face engines of a worker, as a service of the application context."""

from backend.core.app_context import AppContext
from biometrics.pool import FacePool


def face_pool(_: AppContext) -> FacePool:
    """The pool of face processes. `run_worker` provides it; other processes have none."""
    msg = "this process has no face engines: run it in `dianming worker`"
    raise RuntimeError(msg)
