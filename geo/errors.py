"""Errors of the location library: a stable code, a status, and a sentence that tells the user what to do.

They carry the same attributes as the errors of the backend, so the API renders both alike. The base class is separate
because this library imports nothing of ours.
"""

from typing import ClassVar


class GeoError(Exception):
    """A position or a site that cannot be judged, and why.

    `zh` and `en` are format strings over the keyword arguments. They never reveal to a student where the fence runs or
    which thresholds apply, because that would help to fake a fix.
    """

    code: ClassVar[str] = "geo_error"
    status: ClassVar[int] = 422
    zh: ClassVar[str] = "位置数据无法使用。"
    en: ClassVar[str] = "The location data cannot be used."

    def __init__(self, **params: object) -> None:
        self.params = params
        super().__init__(self.sentence("en"))

    def sentence(self, language: str) -> str:
        """The sentence for the user in `zh` or `en`."""
        template = self.zh if language.startswith("zh") else self.en
        return template.format(**self.params)


class DatumUnknown(GeoError):
    code = "datum_unknown"
    zh = "不认识坐标系“{datum}”，请使用 {known} 之一。"
    en = "The datum “{datum}” is unknown; use one of {known}."


class FixMalformed(GeoError):
    code = "fix_malformed"
    zh = "定位“{text}”格式有误，应为“经度,纬度,精度(米)[,坐标系]”。"
    en = "The fix “{text}” is malformed; use LON,LAT,ACCURACY_METRES[,DATUM]."


class FixMissing(GeoError):
    code = "fix_missing"
    zh = "没有收到任何定位，请打开手机定位后重试。"
    en = "No location fix was received; turn on location services and try again."


class FixNotFinite(GeoError):
    code = "fix_not_finite"
    zh = "定位的“{field}”不是有效数字，请重新定位。"
    en = "The fix's {field} is not a finite number; take the fix again."


class FixOutOfRange(GeoError):
    code = "fix_out_of_range"
    zh = "经纬度超出范围（经度 {lon}，纬度 {lat}）。{hint_zh}"
    en = "Longitude {lon}, latitude {lat} is not a place on Earth. {hint_en}"


class FixAccuracyInvalid(GeoError):
    """Negative, zero or larger than the Earth. Platforms report 0 for "unknown"; it never means "exact"."""

    code = "fix_accuracy_invalid"
    zh = "手机没有给出有效的定位精度（{accuracy_m} 米），请开启“精确位置”后重新定位。"
    en = "The phone gave no usable accuracy ({accuracy_m} m); allow precise location and take the fix again."


class FixStale(GeoError):
    code = "fix_stale"
    zh = "定位不是刚刚取得的（相差 {age_s} 秒），请到开阔处重新定位，并核对手机时间。"
    en = "The fix is not recent ({age_s} s apart); take a new one and check the phone's clock."


class ThresholdsInvalid(GeoError):
    """An error in policy data or on the command line, never the student's."""

    code = "thresholds_invalid"
    zh = "围栏判定参数无效：{field} = {value}。"
    en = "The fence thresholds are invalid: {field} = {value}."


class SiteInvalid(GeoError):
    """A site that cannot be filed. `reason` is a `geo.site.SiteFlaw`; `where` is the position of the flaw."""

    code = "site_invalid"
    zh = "办学地址范围无效：{reason_zh}{where}"
    en = "The site is invalid: {reason_en}{where}"


class SiteTooLarge(GeoError):
    code = "site_too_large"
    zh = "办学地址范围面积为 {area_m2} 平方米，超过上限 {max_area_m2} 平方米，请只圈出实际校园；校园确实更大的，请上级教育行政部门先批准面积例外。"
    en = "The site covers {area_m2} m², above the cap of {max_area_m2} m²; draw the actual campus only. For a larger campus, the superior must grant an exception first."
