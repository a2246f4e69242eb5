"""Registration of students (学籍电子注册): seasons, cut-offs, the electronic record, and who may still be added."""
