"""Errors of exports."""

from backend.core.errors import DomainError


class ExportTooLarge(DomainError):
    """The list has more rows than one file may hold."""

    code = "export_too_large"
    status = 422
    zh = "超过 {limit} 行，无法导出为一个文件。请选定市、县或学校后分次导出。"
    en = "The list has more than {limit} rows. Choose a city, county or school, and export it in parts."
