"""Lists of a roll call as workbooks."""
