"""Labelled images as folders: ``train/<class>/*.jpg`` and ``val/<class>/*.jpg``, or class folders alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transferbench.data.class_split import class_generator
from transferbench.data.image_set import FolderImages, Splits
from transferbench.errors import UserError

EXTENSIONS = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
HELD_OUT = ("val", "valid", "validation", "test")
"""The names of a held-out folder, the first that is there being taken."""

LAYOUT = "train/<class>/*.jpg and val/<class>/*.jpg, or <class>/*.jpg"


def read_splits(root: Path | str, holdout: float = 0.1, seed: int = 0) -> Splits:
    """Find the training and test images below ``root``.

    ``root/train`` and the first of ``root/val``, ``valid``, ``validation``, ``test`` are taken as they are. Where no
    held-out folder exists, or the class folders lie directly in ``root``, a share ``holdout`` of each class (at least
    one image) is held out, drawn from ``seed``.

    Raises:
        UserError: no folder, no classes, an empty class, or splits of different classes.
    """
    if not 0.0 < holdout < 1.0:
        raise UserError(f"data.holdout is {holdout}; expected a share between 0 and 1, such as data.holdout=0.1.")
    folder = _existing(root)
    held_out = next((folder / name for name in HELD_OUT if _holds_folders(folder / name)), None)
    if _holds_folders(folder / "train"):
        train = read_folder(folder / "train")
        if held_out is None:
            return _split(train, holdout, seed)
        return _paired(train, read_folder(held_out))
    if held_out is not None:
        raise UserError(f"{folder} has {held_out.name}/ but no train/ with class folders in it; expected {LAYOUT}.")
    inside = _subfolders(folder)
    if inside and set(inside) <= {"train", *HELD_OUT}:
        raise UserError(f"{folder}: no class folders in {' and '.join(sorted(inside))}/; expected {LAYOUT}.")
    return _split(read_folder(folder), holdout, seed)


def read_train_val(root: Path | str) -> Splits:
    """List the class folders in ``root/train`` and ``root/val``.

    Raises:
        UserError: as ``read_folder``, and for folders of different classes.
    """
    return _paired(read_folder(Path(root) / "train"), read_folder(Path(root) / "val"))


def read_folder(folder: Path | str, classes: Sequence[str] | None = None) -> FolderImages:
    """List the images of the class folders in ``folder``; the label is the rank of the sorted folder name.

    Files in folders nested inside a class folder belong to the class; hidden files and folders are passed over.

    Args:
        folder: holds one folder a class.
        classes: take these folders only; all when None.

    Raises:
        UserError: no such folder, no class folders, fewer than two classes, or a class without images.
    """
    root = _existing(folder)
    found = sorted(_subfolders(root) if classes is None else classes)
    _check_class_folders(root, found)
    names: list[str] = []
    counts: list[int] = []
    for name in found:
        files = sorted(_image_files(f"{root}/{name}", f"{name}/", ()))
        names.extend(files)
        counts.append(len(files))
    empty = [name for name, count in zip(found, counts) if count == 0]
    if empty:
        raise UserError(
            f"{root}: no images in {_listing('class folder', empty)}; expected files ending in "
            f"{' '.join(EXTENSIONS)} in every class folder. Fill or remove the empty ones."
        )
    return FolderImages(root, names, np.repeat(np.arange(len(found)), counts), found)


def _existing(root: Path | str) -> Path:
    folder = Path(root).expanduser()
    if folder.is_dir():
        return folder
    what = "a file, not a folder" if folder.exists() else "no such folder"
    raise UserError(f"{folder}: {what}; set data.root=FOLDER to a folder that holds {LAYOUT}.")


def _subfolders(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.name for entry in entries if not entry.name.startswith(".") and entry.is_dir()]
    except PermissionError:
        raise UserError(f"{folder}: permission denied; make it readable or set data.root=FOLDER.") from None


def _holds_folders(folder: Path) -> bool:
    """Tell a split from a class that happens to be called ``train`` or ``test``: a split holds folders."""
    return folder.is_dir() and bool(_subfolders(folder))


def _image_files(folder: str, prefix: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
    """Yield the image files below ``folder`` as ``prefix/...``; ``above`` guards against links that form a ring."""
    nested: list[str] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.name.lower().endswith(EXTENSIONS) and not entry.is_dir():
                    yield prefix + entry.name
                elif entry.is_dir():
                    nested.append(entry.name)
    except PermissionError:
        raise UserError(f"{folder}: permission denied; make it readable or remove it.") from None
    if nested:
        here = os.stat(folder)  # noqa: PTH116 - the folder is a plain string here
        identity = (here.st_dev, here.st_ino)
        if identity not in above:
            for name in nested:
                yield from _image_files(f"{folder}/{name}", f"{prefix}{name}/", (*above, identity))


def _check_class_folders(root: Path, classes: Sequence[str]) -> None:
    missing = [name for name in classes if not (root / name).is_dir()]
    if missing:
        raise UserError(f"{root}: {_listing('class folder', missing)} not found.")
    if len(classes) >= 2:
        return
    if classes:
        raise UserError(
            f"{root} holds one class folder only ({classes[0]}); expected at least two. "
            f"Set data.root=FOLDER to a folder that holds {LAYOUT}."
        )
    images = any(_image_files(str(root), "", ()))
    what = "holds images but no class folders" if images else "is empty"
    raise UserError(f"{root} {what}; set data.root=FOLDER to a folder that holds {LAYOUT}.")


def _paired(train: FolderImages, test: FolderImages) -> Splits:
    lacking = sorted(set(test.classes) - set(train.classes))
    if lacking:
        raise UserError(f"{train.root} lacks {_listing('class', lacking)}, found in {test.root}; expected the same.")
    lacking = sorted(set(train.classes) - set(test.classes))
    if lacking:
        raise UserError(f"{test.root} lacks {_listing('class', lacking)}, found in {train.root}; expected the same.")
    return Splits(train, test)


def _split(images: FolderImages, holdout: float, seed: int) -> Splits:
    """Hold out a share of each class; a class's draw depends on ``seed``, its name and its images alone."""
    held_out = np.zeros(len(images), dtype=bool)
    for label, name in enumerate(images.classes):
        (members,) = np.nonzero(images.labels == label)
        if len(members) < 2:
            raise UserError(
                f"{images.root}: class {name} has a single image, none to hold out; add images or a folder "
                f"{images.root.parent if images.root.name == 'train' else images.root}/val/<class>."
            )
        count = min(max(1, round(holdout * len(members))), len(members) - 1)
        held_out[class_generator(seed, name).choice(members, count, replace=False)] = True
    return Splits(images.select(np.flatnonzero(~held_out)), images.select(np.flatnonzero(held_out)))


def _listing(noun: str, names: Sequence[str]) -> str:
    """Return ``class a`` or ``3 classes (a, b, c)``: at most five names."""
    if len(names) == 1:
        return f"{noun} {names[0]}"
    plural = f"{noun}es" if noun.endswith("s") else f"{noun}s"
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return f"{len(names)} {plural} ({', '.join(names[:5])}{more})"
