"""The national roster template (学生信息模板): read in bounded memory, validated, staged, imported, written, generated.

`reader.read_roster` turns a file into `RosterRow`s and findings: `xlsx_reader` and `csv_reader` yield raw rows,
`strict_ooxml` converts strict workbooks, `header` matches columns to the template by name, `rows` parses each row with
`person_names`, and `hidden_rows` counts what a person does not see. `validation` runs that in a child process,
and `importer` compares the staged rows with the roll and writes them in one transaction.
"""
