"""Errors of the face library, with the attributes every Dianming error has: `code`, `status`, `zh`, `en`."""

from collections.abc import Callable
from typing import ClassVar


class BiometricsError(Exception):
    """A refusal that a person can act on.

    `code` is stable for ever, `status` is the HTTP answer, `zh` and `en` are format strings over the keyword
    arguments. Instances travel between processes, so they pickle by class and arguments.
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
        return _rebuild, (type(self), self.params)


def _rebuild(kind: type[BiometricsError], params: dict[str, object]) -> BiometricsError:
    return kind(**params)


class EngineMismatch(BiometricsError):
    """Descriptors of two engines, or of two versions of one, were about to be compared."""

    code = "face_engine_mismatch"
    status = 409
    zh = "人脸模板由 {enrolled} 生成，当前引擎是 {asked}，不能比对。请重新采集人脸。"
    en = "The face template was made by {enrolled}; {asked} cannot judge it. Enrol the face again."


class EngineUnavailable(BiometricsError):
    """An engine that is asked for is not enabled here, or its weights are not installed."""

    code = "face_engine_unavailable"
    status = 503
    zh = "人脸引擎 {engine} 不可用：{reason}。请联系管理员启用或安装。"
    en = "The face engine {engine} is unavailable: {reason}. Ask the administrator to enable or install it."
