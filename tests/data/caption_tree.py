"""A small tree in COCO's format, with the flaws that such trees have."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

SHAPES = ("box", "ball")
COLOURS = {"red": (220, 40, 40), "blue": (40, 60, 220)}


def write_coco(root: Path, train: int = 12, val: int = 6, side: int = 48) -> Path:
    """Write pictures of two shapes side by side with three captions each; return ``root``.

    One image is missing, one caption is empty, one holds no word to hide, one id stands twice.
    """
    (root / "annotations").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for split, count in (("train", train), ("val", val)):
        (root / f"{split}2017").mkdir()
        images, captions, instances = [], [], []
        for index in range(count):
            name = f"{index:012d}.jpg"
            shapes, colours = rng.choice(SHAPES, 2), rng.choice(list(COLOURS), 2)
            pixels = np.full((side, side, 3), 128, np.uint8)
            for place, (shape, colour) in enumerate(zip(shapes, colours)):
                left = 2 + place * side // 2
                pixels[10:26, left : left + 16] = COLOURS[colour]
                box = {"bbox": [left, 10, 16, 16], "area": 256, "iscrowd": 0, "category_id": SHAPES.index(shape) + 1}
                instances.append({"id": len(instances), "image_id": index, **box})
            if (split, index) != ("train", 3):
                Image.fromarray(pixels).save(root / f"{split}2017" / name)
            images.append({"id": index, "file_name": name, "height": side, "width": side})
            texts = [
                f"A {colours[0]} {shapes[0]} to the left of a {colours[1]} {shapes[1]}.",
                f"there is a {shapes[1]}",
            ]
            texts.append({("train", 1): "", ("train", 2): "of the and"}.get((split, index), f"a {shapes[0]} stands"))
            captions += [{"id": len(captions) + i, "image_id": index, "caption": text} for i, text in enumerate(texts)]
        captions.append(dict(captions[0]))
        files = {"captions": {"images": images, "annotations": captions}}
        names = [{"id": i, "name": shape} for i, shape in enumerate(SHAPES, start=1)]
        files["instances"] = {"images": images, "annotations": instances, "categories": names}
        for kind, content in files.items():
            (root / "annotations" / f"{kind}_{split}2017.json").write_text(json.dumps(content))
    return root
