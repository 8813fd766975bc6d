"""Mutated files of every format end in records or in a sentence for the user, and in nothing else."""

import json
import random
import re
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from transferbench.data.annotation_files import Skipped
from transferbench.data.caption_tables import read_conceptual, read_open_clip_csv
from transferbench.data.captions import CaptionRecords
from transferbench.data.coco import read_coco
from transferbench.data.flickr_tokens import read_flickr_tokens
from transferbench.data.karpathy import read_karpathy
from transferbench.data.tar_samples import samples_in
from transferbench.data.visual_genome import read_visual_genome
from transferbench.errors import UserError

ROUNDS = 120
VALUES = [
    None,
    True,
    -1,
    0,
    1,
    1.5,
    10**400,
    float("inf"),
    float("nan"),
    "",
    "..",
    "/",
    "\x00",
    "\ud800",
    "x" * 999,
    [],
    {},
    [1],
]
TOKENS = [
    b"\x00",
    b"\xff",
    b"\r",
    b"\n",
    b"\t",
    b'"',
    b"{",
    b"]",
    b"\xed\xa0\x80",
    b"\xef\xbb\xbf",
    b"9" * 30,
    b"../",
    b",",
]

COCO = {
    "images": [{"id": k, "file_name": f"{k}.jpg", "width": 4, "height": 4} for k in range(4)],
    "annotations": [
        {"id": k, "image_id": k % 4, "caption": f"text {k}", "category_id": k % 3, "bbox": [0, 1, 2, 2]}
        for k in range(8)
    ],
    "categories": [{"id": k, "name": f"name {k}"} for k in range(3)],
}
KARPATHY = {
    "images": [
        {
            "imgid": k, "cocoid": k, "filepath": "train2017", "filename": f"{k}.jpg", "split": "train",
            "sentences": [{"raw": f"text {k}", "sentid": k}],
        }
        for k in range(4)
    ]
}  # fmt: skip
GENOME = [
    {"image_id": k, "url": f"https://x/train2017/{k}.jpg", "width": 4, "height": 4, "coco_id": k} for k in range(4)
]
REGIONS = [
    {"id": k, "regions": [{"region_id": k, "image_id": k, "phrase": "p", "x": 0, "y": 0, "width": 2, "height": 2}]}
    for k in range(4)
]


def in_values(content: Any, rng: random.Random) -> Any:
    """Replace, remove or repeat a value somewhere in it."""
    if not isinstance(content, (dict, list)) or not content or rng.random() < 0.2:
        return rng.choice(VALUES)
    changed = dict(content) if isinstance(content, dict) else list(content)
    at = rng.choice(list(changed)) if isinstance(changed, dict) else rng.randrange(len(changed))
    choice = rng.random()
    if choice < 0.15:
        del changed[at]
    elif choice < 0.3 and isinstance(changed, list):
        changed.append(changed[at])
    else:
        changed[at] = in_values(changed[at], rng)
    return changed


def in_bytes(content: bytes, rng: random.Random) -> bytes:
    """Cut, insert or change bytes."""
    at = rng.randrange(len(content) + 1)
    choice = rng.random()
    if choice < 0.2:
        return content[:at]
    if choice < 0.4:
        return content[:at] + content[at + rng.randrange(40) :]
    if choice < 0.7:
        return content[:at] + rng.choice(TOKENS) + content[at:]
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def mutated(content: Any, rng: random.Random) -> bytes:
    """Return a text, or an object as JSON, with one to three faults."""
    faults = rng.randint(1, 3)
    if not isinstance(content, bytes) and rng.random() < 0.7:
        for _ in range(faults):
            content = in_values(content, rng)
        return json.dumps(content).encode("utf-8", "surrogatepass")
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    for _ in range(faults):
        data = in_bytes(data, rng)
    return data


FORMATS: dict[str, tuple[dict[str, Any], Callable[[Path], CaptionRecords]]] = {
    "coco": (
        {"annotations/captions_train2017.json": COCO, "annotations/instances_train2017.json": COCO},
        lambda root: read_coco(root, "train"),
    ),
    "karpathy": ({"d.json": KARPATHY}, lambda root: read_karpathy(root / "d.json", root, "train")),
    "visual_genome": (
        {"image_data.json": GENOME, "region_descriptions.json": REGIONS},
        lambda root: read_visual_genome(root, exclude_coco=[0]),
    ),
    "conceptual": (
        {"t.tsv": b"a cat\thttp://x\nb\thttp://y\nc\thttp://z\n", "n.tsv": b"0\t0.jpg\n1\t1.jpg\n2\t2.jpg\n"},
        lambda root: read_conceptual(root / "t.tsv", root / "train2017", names=root / "n.tsv"),
    ),
    "open_clip": (
        {"t.csv": b'filepath\ttitle\n0.jpg\t"a ""cat"""\n1.jpg\tb\n./2.jpg\tc\n'},
        lambda root: read_open_clip_csv(root / "t.csv", images=root / "train2017"),
    ),
    "flickr": (
        {"t.token": b"0.jpg#0\ta cat\n0.jpg#1\tb\n1.jpg#0\tc\n", "list.txt": b"0.jpg\n1\n"},
        lambda root: read_flickr_tokens(root / "t.token", root / "train2017", root / "list.txt"),
    ),
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for folder in ("annotations", "train2017"):
        (tmp_path / folder).mkdir()
    for k in range(4):
        Image.new("RGB", (4, 4)).save(tmp_path / "train2017" / f"{k}.jpg")
    return tmp_path


@pytest.mark.parametrize("name", FORMATS)
def test_mutations_end_in_records_or_a_sentence(root: Path, name: str) -> None:
    files, reader = FORMATS[name]
    rng = random.Random(f"caption {name}")
    records = errors = 0
    for _ in range(ROUNDS):
        hit = rng.choice(list(files))
        for file, content in files.items():
            plain = content if isinstance(content, bytes) else json.dumps(content).encode()
            (root / file).write_bytes(mutated(content, rng) if file == hit else plain)
        try:
            found = reader(root)
        except UserError as error:
            assert re.search(r"[Ss]et data\.|[Ff]etch|quotation|leads out", str(error)), error
            errors += 1
            continue
        records += 1
        found.digest()
        assert len(found) > 0
        for index, captions in enumerate(found.captions):
            assert captions and all(caption.encode("utf-8") for caption in captions)
            assert found.images.image(index).size == (4, 4)
            for box in (found.boxes or ((),) * len(found))[index]:
                assert 0 <= box.left < box.right and 0 <= box.top < box.bottom
    assert records > ROUNDS // 10 and errors > ROUNDS // 30


def test_mutated_shards_give_samples_or_counts(tmp_path: Path, root: Path) -> None:
    whole = tmp_path / "whole.tar"
    (root / "t.txt").write_text("a cat")
    with tarfile.open(whole, "w", format=tarfile.PAX_FORMAT, pax_headers={"comment": "é"}) as archive:
        for k in range(4):
            archive.add(root / "train2017" / f"{k}.jpg", arcname=f"é{k}.jpg")
            archive.add(root / "t.txt", arcname=f"é{k}.txt")
    content = whole.read_bytes().rstrip(b"\0") + bytes(1024)
    rng = random.Random("caption shards")
    damaged = 0
    for _ in range(3 * ROUNDS):
        (tmp_path / "0.tar").write_bytes(in_bytes(content, rng))
        skipped = Skipped("shard")
        found = list(samples_in(tmp_path / "0.tar", skipped))
        assert len(found) == 4 or skipped.counts
        assert all(sample.captions and sample.image is not None for sample in found)
        damaged += bool(skipped.counts)
    assert damaged > ROUNDS
