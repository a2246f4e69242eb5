"""API schemas of roster imports."""

from pydantic import BaseModel, Field

from backend.exchange.roster.issues import Severity


class FindingOut(BaseModel):
    """A finding about a row. `row` is the number in the spreadsheet program; personal values are masked."""

    sheet: str = Field(examples=["学生信息"])
    row: int = Field(examples=[17])
    column: str = Field(examples=["身份证件号"])
    letter: str = Field(description="column letter; empty if the finding is not about a cell", examples=["E"])
    value: str = Field(examples=["410*************2X"])
    code: str = Field(examples=["number_precision_lost"])
    severity: Severity
    zh: str = Field(examples=["该列被存成了数字，末几位已丢失。请将整列设为“文本”格式后重新录入号码。"])
    en: str


class RosterSummaryOut(BaseModel):
    """The contents of the file. Rows with errors are not imported; rows with warnings are."""

    importable: bool
    rows: int = Field(examples=[620])
    students: int = Field(examples=[618])
    rows_with_errors: int = Field(examples=[2])
    classes: int = Field(examples=[13])
    errors_by_code: dict[str, int] = Field(examples=[{"value_missing": 2}])
    warnings_by_code: dict[str, int] = Field(examples=[{"phone_unreadable": 1}])
    study_forms: dict[str, int] = Field(examples=[{"full_time": 600, "part_time": 18}])
    programmes: dict[str, int] = Field(examples=[{"regular": 618}])
    first_errors: list[FindingOut]
    first_warnings: list[FindingOut]


class ImportReportOut(BaseModel):
    """The result of the import. A file never changes study form or standing; such rows are counted in `flagged`."""

    rows: int = Field(examples=[618])
    created: int = Field(examples=[600])
    updated: int = Field(examples=[8])
    unchanged: int = Field(examples=[10])
    flagged: int = Field(examples=[1])
    quarantined: int = Field(
        description="他校已有学籍，列入待核，未建立学籍 · on another school's roll, quarantined until a person decides",
        examples=[0],
    )
    refused: int = Field(
        description="此前核定不予建立学籍 · quarantined before, and a person decided not to enrol them",
        examples=[0],
    )
    not_registered: int = Field(
        description="按学籍注册规定不能注册的新生，未建立学籍 · new students who may not be registered now, not enrolled",
        examples=[0],
    )
    transferred: int = Field(
        description="新增学生中由其他学校转出、在本校转入的 · new students whom another school transferred out",
        examples=[0],
    )
    phones_proposed: int = Field(
        description="已绑定手机的学生，新号码待确认或核准 · numbers of students who have bound a phone, to be confirmed"
        " by the student or approved by the superior",
        examples=[2],
    )
    not_in_file: int = Field(
        description="students of the school who are not in the file; unchanged", examples=[3]
    )
    classes_created: int = Field(examples=[12])
    findings: list[FindingOut]


class RosterImportOut(BaseModel):
    """The contents of the file and, unless it was a dry run, the result of the import."""

    dry_run: bool
    file_sha256: str
    summary: RosterSummaryOut
    report: ImportReportOut | None
