"""Why a file cannot be used, in words instead of those of the operating system."""

from backend.core.bilingual import Bilingual

_FILE_ERRORS: tuple[tuple[type[Exception], Bilingual], ...] = (
    (
        UnicodeDecodeError,
        Bilingual("不是 UTF-8 文本，请另存为 UTF-8", "it is not UTF-8 text; save it as UTF-8"),
    ),
    (
        FileNotFoundError,
        Bilingual("没有这个文件或文件夹，请核对路径", "no such file or folder; check the path"),
    ),
    (IsADirectoryError, Bilingual("这是文件夹，请指定文件", "it is a folder; name a file")),
    (
        NotADirectoryError,
        Bilingual("路径的一部分不是文件夹，请核对路径", "a part of the path is no folder; check it"),
    ),
    (PermissionError, Bilingual("没有权限，请检查文件的权限", "permission denied; check its permissions")),
    (FileExistsError, Bilingual("已经存在，请换一个名称", "it exists already; choose another name")),
)


def describe_file_error(error: OSError | UnicodeDecodeError) -> Bilingual:
    """Why a file cannot be used and what to do, without the wording of the operating system."""
    for kind, words in _FILE_ERRORS:
        if isinstance(error, kind):
            return words
    return Bilingual("读写出错，请检查磁盘后重试", "reading or writing failed; check the disk and try again")
