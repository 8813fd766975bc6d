from pathlib import Path

import pytest
from PIL import Image

from transferbench.data.caption_tables import read_conceptual, read_open_clip_csv
from transferbench.errors import UserError


def pictures(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4)).save(folder / name)
    return folder


def write(file: Path, *lines: str, end: str = "\n") -> Path:
    file.write_bytes(end.join([*lines, ""]).encode())
    return file


CC3M = ('a "quoted cat\thttp://x/0', "un café\thttp://x/1", "dead\thttp://x/2", "a dog\thttp://x/3")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("header", [(), ("caption\turl",)])
def test_cc3m(tmp_path: Path, end: str, mark: str, header: tuple[str, ...]) -> None:
    images = pictures(tmp_path / "images", "0.jpg", "000000001.png", "00000/000000003.webp")
    first, *others = (*header, *CC3M)
    records = read_conceptual(write(tmp_path / "cc3m.tsv", mark + first, *others, end=end), images)
    assert records.ids == (0, 1, 3)
    assert records.captions == (('a "quoted cat',), ("un café",), ("a dog",))
    assert records.images.names == ("0.jpg", "000000001.png", "00000/000000003.webp")
    assert records.skipped == {"image missing": 1}


def test_cc12m_has_the_columns_in_the_other_order(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "0.jpg", "1.jpg", "00001/000010002.jpg")
    lines = ["\t".join(reversed(line.split("\t"))) for line in CC3M[:2]]
    file = write(tmp_path / "cc12m.tsv", *lines, *["https://x\tdead"] * 10_000, "https://x\tlate")
    records = read_conceptual(file, images, "cc12m")
    assert records.ids == (0, 1, 10_002)
    assert records.captions == (('a "quoted cat',), ("un café",), ("late",))
    assert records.skipped == {"image missing": 10_000}
    with pytest.raises(UserError, match=r"line 1: caption and url are swapped; set data\.columns=cc12m"):
        read_conceptual(file, images, "cc3m")


def test_broken_lines_are_counted_and_keep_their_row(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", *(f"{row}.jpg" for row in range(8)))
    lines = ("a\thttp://x", "no tab", "b\thttp://x\tmore", "", "c\tno address", " \thttp://x", "last\thttp://x")
    records = read_conceptual(write(tmp_path / "t.tsv", *lines), images)
    assert records.ids == (0, 6)
    assert records.skipped == {"line without exactly two columns": 2, "line without an address": 1, "empty caption": 1}


def test_downloads_may_have_names_of_their_own(tmp_path: Path) -> None:
    images = pictures(tmp_path / "images", "x/a.jpg", "x/b.jpg")
    table = write(tmp_path / "t.tsv", *CC3M)
    names = write(tmp_path / "names.tsv", "3\tx/a.jpg", "1\tx/b.jpg", "1\tx/a.jpg", "text", "²\tx/a.jpg")
    records = read_conceptual(table, images, names=names)
    assert records.images.names == ("x/b.jpg", "x/a.jpg")
    assert records.ids == (1, 3)
    assert records.skipped == {"duplicated row": 1, "line without row and name": 2, "image missing": 2}
    with pytest.raises(UserError, match=r"row 0: the image path '\.\./a\.jpg' leads out of"):
        read_conceptual(table, images, names=write(names, "0\t../a.jpg"))


def test_an_unknown_order_and_missing_files_end_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.columns is 'cc'"):
        read_conceptual(tmp_path / "t.tsv", tmp_path, "cc")  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"t\.tsv: cannot read it \(No such file or directory\).*data\.captions=FILE"):
        read_conceptual(tmp_path / "t.tsv", tmp_path)
    with pytest.raises(UserError, match=r"no image with a caption in .*\(image missing: 4\)\. Set data\.images=FOLDER"):
        read_conceptual(write(tmp_path / "t.tsv", *CC3M), tmp_path)


def test_a_table_with_a_header(tmp_path: Path) -> None:
    pictures(tmp_path, "i/a.jpg", "i/b.jpg")
    rows = (
        "title\tn\tfilepath",
        "a cat\t1\ti/b.jpg",
        '"two\nlines ""so"""\t2\ti/a.jpg',
        f"more\t3\t{tmp_path}/i/a.jpg",
    )
    records = read_open_clip_csv(
        write(tmp_path / "t.tsv", "\ufeff" + rows[0], *rows[1:], "again\t4\ti/b.jpg", end="\r\n")
    )
    assert records.captions == (("a cat", "again"), ('two lines "so"',), ("more",))
    assert records.images.names == ("i/b.jpg", "i/a.jpg", "i/a.jpg")
    assert records.ids[0] == "i/b.jpg"


def test_other_columns_and_separators(tmp_path: Path) -> None:
    images = pictures(tmp_path / "i", "a.jpg")
    file = write(
        tmp_path / "t.csv", "image,text", 'a.jpg,"a, b"', "gone.jpg,x", "gone.jpg,y", "a.jpg", ",z", "", "a.jpg, "
    )
    records = read_open_clip_csv(file, ",", "image", "text", images)
    assert records.captions == (("a, b",),)
    assert records.skipped == {
        "image missing": 1,
        "line without exactly 2 columns": 1,
        "line without image": 1,
        "empty caption": 1,
    }


def test_a_broken_table_ends_in_a_sentence(tmp_path: Path) -> None:
    pictures(tmp_path, "a.jpg")
    file = write(tmp_path / "t.csv", "image,text", "a.jpg,x")
    with pytest.raises(
        UserError, match=r"no column filepath and no column title \(found with the separator '\\t': image,text\)"
    ):
        read_open_clip_csv(file)
    with pytest.raises(UserError, match=r"data\.separator is ', '"):
        read_open_clip_csv(file, ", ")
    write(file, "image,text", 'a.jpg,"open' + "x" * 200_000)
    with pytest.raises(UserError, match=r"t\.csv, line 2: field larger.*quotation mark"):
        read_open_clip_csv(file, ",", "image", "text")
    write(file, "image,text", "../a.jpg,x")
    with pytest.raises(UserError, match=r"t\.csv, line 2: the image path '\.\./a\.jpg' leads out of"):
        read_open_clip_csv(file, ",", "image", "text")
    with pytest.raises(UserError, match=r"none\.csv: cannot read it"):
        read_open_clip_csv(tmp_path / "none.csv")
