"""The national roster template (学生信息模板): read row by row in bounded memory, checked, written, generated.

`reading.read_roster` is the way in. A file becomes sheets of raw cells (`xlsx`, `delimited`), a header
row is matched to the template by name (`header`, `template`), and each row becomes a `RosterRow` or the list
of what is wrong with it (`rows`).
"""
