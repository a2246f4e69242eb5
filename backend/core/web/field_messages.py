"""What is wrong with a field of a request, in Chinese and English: the messages of pydantic's error types."""

from collections.abc import Mapping
from typing import Any

_UNKNOWN_TYPE_ZH = "值的格式不对，请按接口文档填写"

# Keyed by pydantic's error type; braces take pydantic's own context (`ctx`) of the error.
_MESSAGES_ZH: Mapping[str, str] = {
    "bool_parsing": "应为 true 或 false",
    "bool_type": "应为 true 或 false",
    "bytes_type": "应为文件内容",
    "date_from_datetime_inexact": "应为日期，不带时刻",
    "date_from_datetime_parsing": "应为日期，例如 2026-03-02",
    "date_parsing": "应为日期，例如 2026-03-02",
    "date_type": "应为日期，例如 2026-03-02",
    "datetime_from_date_parsing": "应为带时区的时间，例如 2026-03-02T08:00:00+08:00",
    "datetime_parsing": "应为带时区的时间，例如 2026-03-02T08:00:00+08:00",
    "datetime_type": "应为带时区的时间，例如 2026-03-02T08:00:00+08:00",
    "dict_type": "应为 JSON 对象",
    "enum": "应为以下之一：{expected}",
    "extra_forbidden": "没有这个字段，请删去或核对拼写",
    "finite_number": "应为有限的数",
    "float_parsing": "应为数字",
    "float_type": "应为数字",
    "greater_than": "应大于 {gt}",
    "greater_than_equal": "不能小于 {ge}",
    "int_from_float": "应为整数",
    "int_parsing": "应为整数",
    "int_parsing_size": "整数过大",
    "int_type": "应为整数",
    "json_invalid": "不是有效的 JSON：{error}",
    "less_than": "应小于 {lt}",
    "less_than_equal": "不能大于 {le}",
    "list_type": "应为 JSON 数组",
    "literal_error": "应为以下之一：{expected}",
    "missing": "缺少此项，请补填",
    "model_attributes_type": "应为 JSON 对象",
    "model_type": "应为 JSON 对象",
    "multiple_of": "应为 {multiple_of} 的倍数",
    "none_required": "应为 null",
    "string_pattern_mismatch": "格式不对，应符合 {pattern}",
    "string_too_long": "最多 {max_length} 个字符",
    "string_too_short": "至少 {min_length} 个字符",
    "string_type": "应为文字",
    "string_unicode": "含有无法识别的字符",
    "timezone_aware": "时间须带时区，例如 2026-03-02T08:00:00+08:00",
    "too_long": "最多 {max_length} 项",
    "too_short": "至少 {min_length} 项",
    "union_tag_invalid": "类别应为以下之一：{expected_tags}",
    "union_tag_not_found": "缺少类别字段 {discriminator}",
    "uuid_parsing": "应为编号（UUID）",
    "uuid_type": "应为编号（UUID）",
}


def message_zh(error: Mapping[str, Any]) -> str:
    """The Chinese message of one pydantic error. A validator of ours brings its own in `ctx["zh"]`."""
    context = error.get("ctx") or {}
    if isinstance(context.get("zh"), str):
        return str(context["zh"])
    template = _MESSAGES_ZH.get(error["type"])
    if template is None:
        return _UNKNOWN_TYPE_ZH
    try:
        return template.format(**context)
    except KeyError:  # another version of pydantic names its context otherwise
        return _UNKNOWN_TYPE_ZH


def describe_field(error: Mapping[str, Any]) -> dict[str, Any]:
    """One entry of `errors` in a problem document: the field, and the message in both languages."""
    return {
        "field": ".".join(str(part) for part in error["loc"]),
        "message_zh": message_zh(error),
        "message_en": str(error["msg"]),
    }
