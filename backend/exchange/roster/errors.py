"""Errors about a whole file. Problems of a single row are `RowIssue` findings, not errors."""

from backend.core.errors import DomainError


class RosterMissing(DomainError):
    code = "roster_missing"
    status = 404
    zh = "找不到文件“{name}”，请检查路径。"
    en = "There is no file “{name}”; check the path."


class RosterKindUnsupported(DomainError):
    code = "roster_kind_unsupported"
    status = 415
    zh = "无法读取“{name}”：只支持 .xlsx 和 .csv。请在 Excel 或 WPS 中“另存为”.xlsx（不设密码）后重试。"
    en = "“{name}” cannot be read: only .xlsx and .csv are supported. Save it as .xlsx without a password and try again."


class RosterHasMacros(DomainError):
    code = "roster_has_macros"
    status = 415
    zh = "文件含有宏，不予打开。请“另存为”不含宏的 .xlsx 后重试。"
    en = "The file contains macros and was not opened. Save it as .xlsx without macros and try again."


class RosterTooLarge(DomainError):
    code = "roster_too_large"
    status = 413
    zh = "文件过大或结构异常（{what_zh}），为安全起见不予打开。请按学校或年级拆分后重试。"
    en = "The file is too large or malformed ({what_en}) and was not opened. Split it by school or grade."


class RosterDamaged(DomainError):
    code = "roster_damaged"
    status = 422
    zh = "文件已损坏或不是规范的表格文件（{where}）。请用 Excel 或 WPS 打开并重新保存后重试。"
    en = "The file is damaged or not a regular workbook ({where}). Open it in Excel or WPS, save again and retry."


class RosterEncodingUnknown(DomainError):
    code = "roster_encoding_unknown"
    status = 422
    zh = "CSV 文件既不是 UTF-8 也不是 GB18030 编码。请“另存为”“CSV UTF-8”后重试。"
    en = "The CSV is neither UTF-8 nor GB18030. Save it as “CSV UTF-8” and try again."


class RosterHeaderMissing(DomainError):
    code = "roster_header_missing"
    status = 422
    zh = "前{rows}行中没有找到表头（如“姓名”“身份证件号”“班级名称”）。请使用模板，不要改动表头文字。"
    en = "No header row (姓名, 身份证件号, 班级名称 …) in the first {rows} rows. Use the template's headers unchanged."


class RosterColumnsMissing(DomainError):
    code = "roster_columns_missing"
    status = 422
    zh = "工作表“{sheet}”缺少必需的列：{columns}。请按模板补上后重试。"
    en = "Sheet “{sheet}” lacks mandatory columns: {columns}. Add them as in the template."


class RosterColumnsRepeated(DomainError):
    code = "roster_columns_repeated"
    status = 422
    zh = "工作表“{sheet}”中有重复的列：{columns}。请每列只保留一个。"
    en = "Sheet “{sheet}” has a column twice: {columns}. Keep each once."


class RosterHasErrors(DomainError):
    """Some rows have errors. A roster is imported whole unless the caller chose to skip those rows."""

    code = "roster_has_errors"
    status = 422
    zh = "有 {rows} 行存在错误，未导入任何学生。请改正后重试，或选择跳过有错误的行。"
    en = "{rows} rows have errors; no student was imported. Correct them, or choose to skip those rows."


class RosterEmpty(DomainError):
    code = "roster_empty"
    status = 422
    zh = "表中没有可导入的学生，请填写后重试。"
    en = "The roster has no student to import. Fill it in and try again."


class StudentNumbersTaken(DomainError):
    """Student numbers are unique within a school."""

    code = "student_numbers_taken"
    status = 409
    zh = "以下各行的学号已属于本校另一名学生，未导入任何学生：{places}。请核对学号与身份证件号。"
    en = "The student numbers of these rows belong to other students of the school: {places}. No student was imported."
