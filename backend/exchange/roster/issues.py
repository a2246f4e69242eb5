"""Findings about rows: where, which value, and what to do about it."""

from dataclasses import dataclass
from enum import StrEnum

from openpyxl.utils import get_column_letter

from backend.people.identifiers import Defect, mask


class Severity(StrEnum):
    """An error blocks the row; a warning does not."""

    ERROR = "error"
    WARNING = "warning"


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One finding. `row` is the number shown by the spreadsheet program; personal values are masked."""

    sheet: str
    row: int
    column: str
    letter: str
    value: str
    code: str
    severity: Severity
    zh: str
    en: str


@dataclass(frozen=True, slots=True)
class ColumnRef:
    """A column of the sheet, as findings name it."""

    index: int
    header: str
    personal: bool

    def issue(self, sheet: str, row: int, value: str, defect: Defect, severity: Severity) -> RowIssue:
        """Build a finding about a cell of this column."""
        shown = mask(value) if self.personal else value[:50]
        letter = get_column_letter(self.index + 1) if self.index >= 0 else ""
        return RowIssue(sheet, row, self.header, letter, shown, defect.code, severity, defect.zh, defect.en)


REQUIRED = Defect("value_missing", "必填项为空，请填写。", "A mandatory cell is empty. Fill it in.")
EXCEL_ERROR = Defect(
    "cell_is_error",
    "单元格是公式错误值，请改为实际内容。",
    "The cell holds a formula error; enter the value itself.",
)
PRECISION_LOST = Defect(
    "number_precision_lost",
    "该列被存成了数字，末几位已丢失。请将整列设为“文本”格式后重新录入号码。",
    "The column is stored as numbers and the last digits are lost. Format it as text and enter the numbers again.",
)
BAD_DAY = Defect(
    "date_unreadable",
    "日期无法识别，请写成 20080131 的形式。",
    "The date cannot be read; write it as 20080131.",
)
BAD_MONTH = Defect(
    "month_unreadable",
    "年月无法识别，请写成 202409 的形式。",
    "The month cannot be read; write it as 202409.",
)
MONTH_LOST_ZERO = Defect(
    "month_lost_zero",
    "年月被存成了数字，分不清是1月还是10月。请将该列设为“文本”格式，写成 202610 的形式。",
    "The month is stored as a number and may be January or October. Format the column as text and write 202610.",
)
NAME_GARBLED = Defect(
    "name_garbled",
    "姓名含有“?”“□”等丢字符号或非标准字符，多为生僻字在转换中丢失。请按证件重新录入，另存为“CSV UTF-8”或 .xlsx。",
    "The name contains marks of lost characters, such as “?”, or private-use ones: a rare character was lost in a"
    " conversion. Enter it again from the document; save as “CSV UTF-8” or .xlsx.",
)
NAME_PLACEHOLDER = Defect(
    "name_placeholder",
    "这不是姓名，而是空值标记。请按证件填写姓名；没有内容的格请留空。",
    "This is a mark for an empty value, not a name. Enter the name of the document, or leave the cell empty.",
)
BAD_NAME = Defect(
    "name_unusable",
    "姓名不能含数字或控制字符，且不超过50字，请按证件填写。",
    "A name has no digits or control characters and at most 50 characters; copy it from the document.",
)
BAD_LENGTH = Defect(
    "length_unreadable",
    "学制应为年数，如 3 或 2.5，请改正。",
    "The length is a number of years, such as 3 or 2.5.",
)
BAD_PHONE = Defect(
    "phone_unreadable",
    "电话号码格式不对，未导入；请填写11位手机号或带区号的固定电话。",
    "Not a phone number; it was not imported. Enter an 11-digit mobile number or a landline with its area code.",
)
GUARDIAN_UNCLEAR = Defect(
    "guardian_unclear",
    "“是否监护人”应填“是”或“否”，按“否”处理。",
    "Enter 是 or 否 for whether a member is a guardian; it was read as 否.",
)
BIRTH_DATE_DIFFERS = Defect(
    "birth_date_differs_from_id",
    "出生日期与身份证号不一致，请核对两者。",
    "The birth date differs from the ID number's; check both.",
)
SEX_DIFFERS = Defect(
    "sex_differs_from_id",
    "性别与身份证号不一致，请核对两者。",
    "The sex differs from the ID number's; check both.",
)
UNKNOWN_COLUMN = Defect(
    "column_unknown",
    "模板中没有这一列，内容不导入。",
    "The template has no such column; its content is not imported.",
)
STUDY_FORM_KEPT = Defect(
    "study_form_kept",
    "学习形式与学籍不一致，学籍未改动。学习形式不能通过导入变更，请提交学籍异动申请。",
    "The study form differs from the roll and was not changed. A roster cannot change it: file a change request.",
)
STUDY_FORM_LOCKED = Defect(
    "study_form_locked",
    "学习形式与学籍不一致，学籍未改动。该生因核验异动已被锁定，再次异动须提交学籍异动申请，逐级报省教育厅批准。",
    "The study form differs from the roll and was not changed. A verification has locked this record: file a change"
    " request, which the province must approve.",
)
ON_ANOTHER_ROLL = Defect(
    "on_another_roll",
    "同一身份证件号已在其他学校建有学籍，本行已列入重复学籍待核，未建立学籍。两校及其上级可见，由两校共同的上级教育部门核定。",
    "The same ID number is on another school's roll. The row is quarantined and no student was created: the authority above"
    " both schools decides. Both schools and their superiors see it.",
)
ENROLMENT_REFUSED = Defect(
    "enrolment_refused",
    "上级教育部门已核定本行不予建立学籍（填报有误或并非同一人）。请核对身份证件号，改正后重新导入。",
    "The authority above both schools decided that this row is not enrolled (an error, or a different person). Check the ID"
    " number, correct the row and import it again.",
)
PHONE_PROPOSED = Defect(
    "phone_proposed",
    "该生已绑定手机，新的联系电话须由学生在已绑定手机上确认，或由上级教育部门核准，此前仍用原号码。",
    "The student has bound a phone: the new number takes effect when the student confirms it on that phone or the superior"
    " approves it. Until then the number stays as it was.",
)
PHONE_KEPT = Defect(
    "phone_kept",
    "该生已绑定手机，联系电话不能由花名册清空，原号码未改动。如需变更，请填写新号码。",
    "The student has bound a phone, so an empty cell does not delete the number. To change it, enter the new number.",
)
PHONE_REFUSED = Defect(
    "phone_refused",
    "学生或上级教育部门此前未同意该号码，未再提出，原号码未改动。如确需变更，请写明理由另行提出联系电话变更。",
    "The student or the superior refused this number before, so it was not proposed again. If it is right, propose the change"
    " with your reasons.",
)


def not_in_list(choices: tuple[str, ...]) -> Defect:
    """The cell of a coded column has a value that the template does not define."""
    return Defect(
        "value_not_in_list",
        f"内容不在可选范围内，请填写：{'、'.join(choices)}。",
        f"Not one of the choices; use {', '.join(choices)}.",
    )


def repeated(code: str, zh: str, en: str, first: str) -> Defect:
    """The person or number already occurs in an earlier row, named by `first`."""
    return Defect(code, f"{zh}与{first}重复，请只保留一行。", f"The same {en} as in {first}; keep one row.")
