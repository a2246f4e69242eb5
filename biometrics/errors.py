"""Base class and common errors of the face library.

They carry the same attributes as the errors of the backend (`code`, `status`, `zh`, `en`), so the API renders both
alike. The base class is separate because this library imports nothing of ours.
"""

from collections.abc import Callable
from typing import ClassVar


class BiometricsError(Exception):
    """An error that the user or an administrator can act on.

    `code` never changes, `status` is the HTTP status, `zh` and `en` are format strings over the keyword arguments.
    Instances travel between processes, so they are pickled by class and arguments.
    """

    code: ClassVar[str] = "biometrics_failed"
    status: ClassVar[int] = 500
    zh: ClassVar[str] = "人脸核验暂时不可用，请稍后重试。"
    en: ClassVar[str] = "Face verification is unavailable for the moment; please try again later."

    def __init__(self, **params: object) -> None:
        self.params = params
        super().__init__(self.sentence("en"))

    def sentence(self, language: str) -> str:
        """The sentence for the user in `zh` or `en`."""
        template = self.zh if language.startswith("zh") else self.en
        return template.format(**self.params)

    def __reduce__(self) -> tuple[Callable[..., "BiometricsError"], tuple[object, ...]]:
        return _unpickle, (type(self), self.params)


def _unpickle(kind: type[BiometricsError], params: dict[str, object]) -> BiometricsError:
    return kind(**params)


class EngineMismatch(BiometricsError):
    """Two descriptors of different engines, or of different versions of one engine, cannot be compared."""

    code = "face_engine_mismatch"
    status = 409
    zh = "人脸模板由 {enrolled} 生成，当前引擎是 {current}，不能比对。请重新采集人脸。"
    en = "The face template was made by {enrolled}; {current} cannot compare it. Enrol the face again."


class EngineUnavailable(BiometricsError):
    """The requested engine is not enabled, or its weights are not installed."""

    code = "face_engine_unavailable"
    status = 503
    zh = "人脸引擎 {engine} 不可用：{reason}。请联系管理员启用或安装。"
    en = "The face engine {engine} is unavailable: {reason}. Ask the administrator to enable or install it."
