import io
import json
import tarfile
import tracemalloc
from pathlib import Path

import pytest

from transferbench.data.annotation_files import Skipped
from transferbench.data.tar_samples import samples_in

Member = tuple[str, bytes]


def make(file: Path, *members: Member, mode: str = "w") -> Path:
    with tarfile.open(file, mode) as archive:  # type: ignore[call-overload]
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return file


def read(file: Path, field: str | None = None) -> tuple[list[tuple[str, bytes, tuple[str, ...]]], dict[str, int]]:
    skipped = Skipped(file)
    return [(s.key, s.image, s.captions) for s in samples_in(file, skipped, field)], skipped.counts


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:xz"])
def test_neighbours_of_one_name_are_a_sample(tmp_path: Path, mode: str) -> None:
    file = make(
        tmp_path / "0.tar",
        ("d/1.jpg", b"I"), ("d/1.txt", b"\xef\xbb\xbfa\ncat\r\n"), ("d/1.json", b"{}"),
        ("e/1.TXT", b"caf\xc3\xa9"), ("e/1.PNG", b"J"),
        ("v1.2/2.webp", b"K"), ("v1.2/2.txt", b"dots"),
        mode=mode,
    )  # fmt: skip
    assert read(file) == ([("d/1", b"I", ("a cat",)), ("e/1", b"J", ("café",)), ("v1.2/2", b"K", ("dots",))], {})


def test_a_suffix_again_begins_a_new_sample_and_halves_are_counted(tmp_path: Path) -> None:
    file = make(
        tmp_path / "0.tar",
        ("1.jpg", b"A"), ("1.txt", b"a"), ("1.jpg", b"B"), ("1.txt", b"b"),
        ("2.jpg", b"C"), ("3.txt", b"c"), ("4.jpg", b"D"), ("4.txt", b" \n"),
        ("2.txt", b"too late"), ("._5.jpg", b"x"), ("README", b"x"), ("6.cls", b"7"),
    )  # fmt: skip
    found, counts = read(file)
    assert found == [("1", b"A", ("a",)), ("1", b"B", ("b",))]
    assert counts == {
        "sample without caption": 2,
        "sample without image": 2,
        "member that is no file, has no suffix or is too large": 1,
    }


def test_links_and_folders_hold_nothing(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "0.tar", "w") as archive:
        for name, kind in (("1.jpg", tarfile.SYMTYPE), ("d", tarfile.DIRTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "/etc/passwd"
            archive.addfile(info)
    assert read(tmp_path / "0.tar") == ([], {"member that is no file, has no suffix or is too large": 1})


def test_captions_in_a_field(tmp_path: Path) -> None:
    def row(key: str, content: object) -> tuple[Member, Member]:
        return (f"{key}.jpg", b"I"), (f"{key}.json", json.dumps(content).encode())

    rows = [
        ("1", {"c": "one", "x": 1}),
        ("2", {"c": ["two", "", 3, "three"]}),
        ("3", {"x": 1}),
        ("4", [1]),
        ("5", {"c": 5}),
    ]
    members = [member for key, content in rows for member in row(key, content)]
    file = make(tmp_path / "0.tar", *members, ("6.jpg", b"I"), ("6.json", b"{broken"), ("6.txt", b"not this one"))
    found, counts = read(file, "c")
    assert [(key, captions) for key, _, captions in found] == [("1", ("one",)), ("2", ("two", "three"))]
    assert counts == {"sample without caption": 4}


def whole(tmp_path: Path, count: int = 6) -> Path:
    pairs = [pair for k in range(count) for pair in ((f"{k}.jpg", bytes([k]) * 700), (f"{k}.txt", b"text"))]
    return make(tmp_path / "0.tar", *pairs)


@pytest.mark.parametrize("kept", [0, 100, 512, 600, 5000, 2560 * 6])
def test_a_shard_that_is_cut_off_gives_what_is_whole(tmp_path: Path, kept: int) -> None:
    file = whole(tmp_path)  # a sample is five blocks of 512 bytes, the last of which holds 4
    file.write_bytes(file.read_bytes()[:kept])
    found, counts = read(file)
    assert len(found) == (kept + 508) // 2560
    assert counts["shard damaged or cut off, its rest"] == 1


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    file = whole(tmp_path)
    content = bytearray(file.read_bytes())
    content[2560 * 2 + 150] ^= 0xFF  # the checksum of the third sample's first header
    file.write_bytes(bytes(content))
    found, counts = read(file)
    assert [key for key, _, _ in found] == ["0", "1"]
    assert counts == {"shard damaged or cut off, its rest": 1}


def test_what_is_no_archive_is_counted(tmp_path: Path) -> None:
    (tmp_path / "0.tar").write_bytes(b"text" * 1000)
    for file in (tmp_path / "0.tar", tmp_path / "none.tar"):
        assert read(file) == ([], {"shard damaged or cut off, its rest": 1})


def test_a_shard_is_never_held_whole(tmp_path: Path) -> None:
    members = [pair for k in range(64) for pair in ((f"{k}.jpg", bytes(2**19)), (f"{k}.txt", b"x"))]
    file = make(tmp_path / "0.tar", *members)  # 32 MiB
    tracemalloc.start()
    assert sum(1 for _ in samples_in(file, Skipped(file))) == 64
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 2**23
