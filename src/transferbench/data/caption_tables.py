"""Tables of images and captions: Conceptual Captions 3M and 12M, and files with a header as open_clip reads them."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from transferbench.data.annotation_files import Skipped, lines_of
from transferbench.data.captions import CaptionRecords, ImageFacts, add_caption, records_of
from transferbench.data.image_lookup import ImageLookup
from transferbench.errors import UserError

FILE_REMEDY = "Set data.captions=FILE to the table."
IMAGES_REMEDY = "Set data.images=FOLDER to the folder of the downloaded images."
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
CAPTION_COLUMN = {"cc3m": 0, "cc12m": 1}
"""CC3M has the caption first, CC12M the address."""


def read_conceptual(
    file: Path | str,
    images: Path | str,
    columns: Literal["cc3m", "cc12m"] = "cc3m",
    names: Path | str | None = None,
) -> CaptionRecords:
    r"""Read ``caption TAB url`` (CC3M: Sharma et al., ACL 2018) or ``url TAB caption`` (CC12M: arXiv:2102.08981).

    Quotation marks are letters like others. An image's id is its row, from 0, a header (``caption`` and ``url``) not
    counted. Row 123456 of ``images`` is the first of ``123456.jpg``, ``000123456.jpg`` and ``00012/000123456.jpg``
    (folders of 10,000 rows) that is there, the suffix being ``.jpg``, ``.jpeg``, ``.png`` or ``.webp``. Rows without a
    file are dead addresses: they are counted as missing images.

    Args:
        file: the table.
        images: the folder of the downloaded images.
        columns: the order of the columns.
        names: a file of lines ``row TAB path below images`` where the downloads have other names.

    Raises:
        UserError: a file or folder is missing, the columns are in the other order, or no image with a caption is there.
    """
    source = Path(file).expanduser()
    if columns not in CAPTION_COLUMN:
        raise UserError(
            f"{source}: data.columns is {columns!r}; set data.columns=cc3m (caption, url) or cc12m (url, caption)."
        )
    lookup = ImageLookup(images, IMAGES_REMEDY)
    skipped = Skipped(source)
    named = None if names is None else _named(Path(names).expanduser(), skipped)
    facts: dict[int | str, ImageFacts] = {}
    for number, row, caption in _conceptual_rows(source, columns, skipped):
        candidates = _file_names(row) if named is None else iter(named.get(row, ()))
        path = lookup.find(candidates, f"{names or source}, row {row}")
        if path is None:
            skipped.note("image missing", f"line {number}")
        elif add_caption(found := ImageFacts(path), caption, skipped, f"line {number}"):
            facts[row] = found
    return records_of(lookup, facts, skipped)


def _conceptual_rows(file: Path, columns: str, skipped: Skipped) -> Iterator[tuple[int, int, str]]:
    """Yield the number of the line, the row and the caption."""
    at = CAPTION_COLUMN[columns]
    first = 1
    swapped = False
    for number, line in lines_of(file, "a caption and an address a line, with a TAB between", FILE_REMEDY):
        cells = line.split("\t")
        if number == 1 and sorted(cell.strip().lower() for cell in cells) == ["caption", "url"]:
            first, at = 2, [cell.strip().lower() for cell in cells].index("caption")
        elif len(cells) != 2:
            skipped.note("line without exactly two columns", f"line {number}")
        elif "://" not in cells[1 - at]:
            swapped = swapped or cells[at].strip().startswith(("http://", "https://"))
            skipped.note("line without an address", f"line {number}")
            if swapped and skipped.counts["line without an address"] == number + 1 - first:
                other = "cc12m" if columns == "cc3m" else "cc3m"
                raise UserError(f"{file}, line {number}: caption and url are swapped; set data.columns={other}.")
        else:
            yield number, number - first, cells[at]


def _named(file: Path, skipped: Skipped) -> dict[int, list[str]]:
    """Return the path of the image of each row."""
    found: dict[int, list[str]] = {}
    for number, line in lines_of(file, "a row and the name of its image a line", "Set data.names=FILE."):
        row, tab, name = line.partition("\t")
        digits = row.strip()
        if not tab or not name.strip() or not digits.isascii() or not digits.isdigit() or len(digits) > 18:
            skipped.note("line without row and name", f"{file.name}, line {number}")
        elif int(digits) in found:
            skipped.note("duplicated row", f"{file.name}, line {number}")
        else:
            found[int(digits)] = [name.strip()]
    return found


def _file_names(row: int) -> Iterator[str]:
    for stem in (f"{row}", f"{row:09d}", f"{row // 10_000:05d}/{row:09d}"):
        for suffix in SUFFIXES:
            yield stem + suffix


def read_open_clip_csv(
    file: Path | str,
    separator: str = "\t",
    image: str = "filepath",
    caption: str = "title",
    images: Path | str | None = None,
) -> CaptionRecords:
    """Read a table with a header; an image in several rows has several captions.

    Cells in quotation marks may hold the separator and line breaks. An image's id is its path as listed.

    Args:
        file: the table.
        separator: what stands between the cells.
        image: the name of the column of paths.
        caption: the name of the column of captions.
        images: the folder that paths are relative to and absolute ones lie in; that of ``file`` when None.

    Raises:
        UserError: the file or folder is missing, a column is missing, or no image with a caption is there.
    """
    source = Path(file).expanduser()
    if len(separator) != 1 or separator in '\r\n"':
        raise UserError(f"data.separator is {separator!r}; expected one character, such as data.separator=','.")
    lookup = ImageLookup(
        source.parent if images is None else images, "Set data.images=FOLDER to the one that holds them."
    )
    skipped = Skipped(source)
    known: dict[int | str, ImageFacts | None] = {}
    for number, listed, text in _table_rows(source, separator, image, caption, skipped):
        if listed not in known:
            path = lookup.find((listed,), f"{source}, line {number}")
            known[listed] = None if path is None else ImageFacts(path)
            if path is None:
                skipped.note("image missing", f"line {number} ({listed[:80]})")
        if (found := known[listed]) is not None:
            add_caption(found, text, skipped, f"line {number}")
    return records_of(lookup, {name: found for name, found in known.items() if found is not None}, skipped)


def _table_rows(
    file: Path, separator: str, image: str, caption: str, skipped: Skipped
) -> Iterator[tuple[int, str, str]]:
    """Yield the number of the line that a row ends on, the path and the caption."""
    try:
        with file.open(encoding="utf-8-sig", errors="replace", newline="") as stream:
            rows = csv.reader(stream, delimiter=separator)
            header = [cell.strip() for cell in next(rows, [])]
            _check_header(file, header, separator, (image, caption))
            at, text = header.index(image), header.index(caption)
            for row in rows:
                if len(row) != len(header):
                    if any(cell.strip() for cell in row):
                        skipped.note(f"line without exactly {len(header)} columns", f"line {rows.line_num}")
                elif not row[at].strip():
                    skipped.note("line without image", f"line {rows.line_num}")
                else:
                    yield rows.line_num, row[at].strip(), row[text]
    except OSError as error:
        raise UserError(f"{file}: cannot read it ({error.strerror or error}). {FILE_REMEDY}") from None
    except csv.Error as error:
        raise UserError(
            f"{file}, line {rows.line_num}: {error}; is a quotation mark open above? Double or remove it."
        ) from None


def _check_header(file: Path, header: list[str], separator: str, wanted: tuple[str, str]) -> None:
    lacking = [name for name in wanted if name not in header]
    if lacking:
        found = ", ".join(name[:40] for name in header[:8]) or "none"
        raise UserError(
            f"{file}, line 1: no column {' and no column '.join(lacking)} "
            f"(found with the separator {separator!r}: {found}); "
            "set data.image_column, data.caption_column or data.separator."
        )
