"""Words for the codes in exported lists."""

from collections.abc import Mapping

DUTIES: Mapping[str, str] = {"owed": "应核验", "excused": "请假", "exempt": "不参加"}
OUTCOMES: Mapping[str, str] = {
    "present": "已通过",
    "missed": "未按时核验",
    "excused": "免于核验",
    "undetermined": "待定",
}
METHODS: Mapping[str, str] = {
    "face": "人脸核验",
    "look": "人工比对照片",
    "attested": "辅导员现场核验",
    "review": "复核",
    "determination": "人工认定",
    "settlement": "截止时统计",
    "voiding": "作废",
    "appeal": "申诉",
}
