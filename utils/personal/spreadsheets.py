"""Rows of Excel workbooks (.xlsx) as texts, and a word about spreadsheets that can't be read."""

from __future__ import annotations

import datetime
import io
import warnings
import zipfile
from collections.abc import Iterator
from typing import Any

from utils.errors import UserError

OLD = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"  # what .xls begins with, and .xlsx behind a password
ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
OTHERS = {  # what lies in a zip archive that is another kind of spreadsheet
    "xl/workbook.bin": "a binary workbook (.xlsb)",
    "content.xml": "an OpenDocument spreadsheet (.ods)",
    "Index/Document.iwa": "a Numbers spreadsheet",
}
MOST = 64 << 20  # bytes unpacked
LAST = {"max_row": 1_048_576, "max_col": 256}  # of a sheet; damaged ones say that there are more


def is_workbook(names: list[str]) -> bool:
    """Tell whether an archive with these names in it is a workbook."""
    return any(name.startswith("xl/") for name in names)


def refuse(name: str, data: bytes = b"", names: list[str] | None = None) -> None:
    """Raise a `UserError` for bytes, or an archive with these names in it, of a spreadsheet that can't be read."""
    found = next((kind for inside, kind in OTHERS.items() if inside in (names or ())), None)
    if data.startswith(OLD):
        found = "a workbook with a password" if ENCRYPTED in data else "an old Excel workbook (.xls)"
    if found:
        raise UserError(f"{name}: this is {found}; save it as .xlsx without a password, or as CSV")


def rows_of(name: str, data: bytes) -> Iterator[tuple[str, list[tuple[int, list[str]]]]]:
    """Yield (title of a sheet, its rows that hold text as (number, texts)). A `UserError` says that the workbook is
    damaged."""
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MOST:
                raise UserError(f"{name}: more than {MOST >> 20} MB; a file of one person's ratings is needed")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about styles, which are not read
            book = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # some writers store wrong ones
                rows = ([*map(_text, row)] for row in sheet.iter_rows(**LAST, values_only=True))
                yield sheet.title, [(number, row) for number, row in enumerate(rows, 1) if any(map(str.strip, row))]
    except (UserError, MemoryError):
        raise
    except Exception as error:  # openpyxl raises whatever damaged bytes lead to
        raise UserError(f"{name}: the workbook can't be read: {error}") from None


def _text(value: Any) -> str:
    """Return the text of a cell: dates as in ISO 8601, whole numbers without a point, nothing for an error."""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = "" if value is None else str(value)
    return "" if text.startswith("#") and text.rstrip("!?").isupper() and text[-1] in "!?A" else text
