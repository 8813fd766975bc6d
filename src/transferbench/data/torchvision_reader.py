"""What torchvision's readers find on disk, as image sets: nothing is fetched, no image is decoded before it is needed.

Each of torchvision's classes holds its files or pixels, its labels and its class names under names of its own; here
they become one ``Splits``. Training and validation parts are joined: evaluation holds out its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from transferbench.data.class_split import split_per_class
from transferbench.data.image_set import ArrayImages, FolderImages, ImageSet, Splits
from transferbench.errors import UserError

Arguments = list[dict[str, Any]]

_TRAIN_FLAG: tuple[Arguments, Arguments] = ([{"train": True}], [{"train": False}])
_TRAIN_TEST: tuple[Arguments, Arguments] = ([{"split": "train"}], [{"split": "test"}])
_TRAIN_VAL: tuple[Arguments, Arguments] = ([{"split": "train"}], [{"split": "val"}])
_TRAINVAL_TEST: tuple[Arguments, Arguments] = ([{"split": "trainval"}], [{"split": "test"}])
_THREE_PARTS: tuple[Arguments, Arguments] = ([{"split": "train"}, {"split": "val"}], [{"split": "test"}])

PARTS: dict[str, tuple[Arguments, Arguments]] = {
    "CIFAR10": _TRAIN_FLAG,
    "CIFAR100": _TRAIN_FLAG,
    "MNIST": _TRAIN_FLAG,
    "FashionMNIST": _TRAIN_FLAG,
    "KMNIST": _TRAIN_FLAG,
    "USPS": _TRAIN_FLAG,
    "STL10": _TRAIN_TEST,
    "SVHN": _TRAIN_TEST,
    "Food101": _TRAIN_TEST,
    "StanfordCars": _TRAIN_TEST,
    "GTSRB": _TRAIN_TEST,
    "FER2013": _TRAIN_TEST,
    "DTD": _THREE_PARTS,  # split 1 of 10
    "Flowers102": _THREE_PARTS,
    "RenderedSST2": _THREE_PARTS,
    "Country211": ([{"split": "train"}, {"split": "valid"}], [{"split": "test"}]),
    "FGVCAircraft": _TRAINVAL_TEST,  # of the 100 variants
    "OxfordIIITPet": _TRAINVAL_TEST,
    "CLEVRClassification": _TRAIN_VAL,  # its test images have no labels
    "Imagenette": _TRAIN_VAL,
}
"""torchvision's class name to the arguments that give the parts of the training set and of the test set."""

WHOLE = ("Caltech101", "EuroSAT")
"""Those without an official split."""

_NOT_FETCHED = ("StanfordCars", "FER2013")
_LOWEST_LABEL = {"CLEVRClassification": 3}  # a scene has 3 to 10 objects
_CHANNELS_FIRST = ("STL10", "SVHN")  # (N, 3, H, W)


def read_torchvision(dataset: str, root: Path | str) -> Splits:
    """Read torchvision's ``dataset`` (one of ``PARTS``) from ``root``; training and validation parts are joined.

    Raises:
        UserError: the name is unknown, or the files are not there or damaged.
    """
    if dataset not in PARTS:
        raise UserError(f"data.dataset is {dataset!r}; expected one of {', '.join(PARTS)}.")
    folder = Path(root).expanduser()
    train, test = ([_part(dataset, folder, arguments) for arguments in parts] for parts in PARTS[dataset])
    classes = _class_names(dataset, [*train, *test])
    try:
        return Splits(
            _joined(dataset, train, classes, f"{dataset}/train"), _joined(dataset, test, classes, f"{dataset}/test")
        )
    except (IndexError, TypeError, ValueError) as error:
        raise _damaged(dataset, folder, error) from None


def read_drawn(dataset: str, root: Path | str, seed: int, sizes: Mapping[str, int | float], test: str) -> Splits:
    """Read torchvision's ``dataset`` (one of ``WHOLE``) from ``root`` by a split drawn class by class.

    Args:
        dataset: its name in torchvision.
        root: where torchvision finds it.
        seed: decides which images.
        sizes: the parts of the split, see ``split_per_class``.
        test: which of them (or ``REST``) is the test set; all others are the training set.

    Raises:
        UserError: the files are not there or damaged, or a class has fewer images than the split needs.
    """
    part = _part(dataset, Path(root).expanduser(), {})
    images = FolderImages(part.root, _names([part]), _labels(part), _own_classes(part))
    drawn = split_per_class(images.labels, images.classes, sizes, seed, f"{part.root}: {dataset}")
    return Splits(images.select(np.setdiff1d(np.arange(len(images)), drawn[test])), images.select(drawn[test]))


def fetch_command(dataset: str, root: Path | str, every_part: bool = False) -> str:
    """Return the shell command that lets torchvision fetch ``dataset`` into ``root``.

    Args:
        dataset: one of ``PARTS`` and ``WHOLE``.
        root: where to.
        every_part: ask for the parts one by one: torchvision fetches only what was asked for.
    """
    train, test = PARTS.get(dataset, ([{}], []))
    calls = [
        f"d.{dataset}('{root}', {''.join(f'{key}={value!r}, ' for key, value in arguments.items())}download=True)"
        for arguments in (train + test if every_part else train[:1])
    ]
    return f'python -c "import torchvision.datasets as d; {"; ".join(calls)}"'


def _part(dataset: str, folder: Path, arguments: dict[str, Any]) -> Any:
    import torchvision.datasets  # slow to import, and not needed by most runs

    reader = getattr(torchvision.datasets, dataset)
    try:
        return reader(root=str(folder), **arguments)
    except (RuntimeError, FileNotFoundError) as error:
        fetch = "" if dataset in _NOT_FETCHED else f", or fetch it once with: {fetch_command(dataset, folder, True)}"
        raise UserError(
            f"{folder}: {dataset} is not there ({' '.join(str(error).split())}); set data.root=FOLDER to where it is"
            f"{fetch or '.'}"
        ) from None
    except Exception as error:  # a damaged list of files can make a reader raise almost anything
        raise _damaged(dataset, folder, error) from None


def _damaged(dataset: str, folder: Path, error: Exception) -> UserError:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    return UserError(f"{folder}: the files of {dataset} are damaged ({reason}); fetch them again.")


def _class_names(dataset: str, parts: Sequence[Any]) -> list[str]:
    """Return the classes over all parts: torchvision names, or else counts, those of one part alone."""
    names: dict[str, None] = {}
    for part in parts:
        names.update(dict.fromkeys(_own_classes(part)))
    if names:
        return list(names)
    lowest = _LOWEST_LABEL.get(dataset, 0)
    highest = max(int(_labels(part).max(initial=lowest)) for part in parts)
    return [str(label) for label in range(lowest, highest + 1)]


def _own_classes(part: Any) -> list[str]:
    named = _first(part, "classes", "categories", absent=())
    return [name if isinstance(name, str) else name[0] for name in named]  # Imagenette gives synonyms


def _joined(dataset: str, parts: Sequence[Any], classes: Sequence[str], prefix: str) -> ImageSet:
    """Join parts of one kind, which hold their images as an array or as a list of paths."""
    rank = {name: label for label, name in enumerate(classes)}
    found = []
    for part in parts:
        own = np.array([rank[name] for name in _own_classes(part)], dtype=np.int64)
        labels = _labels(part) - _LOWEST_LABEL.get(dataset, 0)
        if labels.min(initial=0) < 0 or labels.max(initial=0) >= (own.size or len(classes)):
            raise ValueError(f"labels from {labels.min()} to {labels.max()} for {own.size or len(classes)} classes")
        found.append(own[labels] if own.size else labels)
    labels = np.concatenate(found)
    if names := _names(parts):
        return FolderImages(parts[0].root, names, labels, classes)
    pixels = np.concatenate([_pixels(part) for part in parts])
    if dataset in _CHANNELS_FIRST:
        pixels = pixels.transpose(0, 2, 3, 1)
    return ArrayImages(np.ascontiguousarray(pixels), labels, classes, prefix)


def _labels(part: Any) -> NDArray[np.int64]:
    held = _first(part, "targets", "labels", "_labels", "y")
    if held is None:
        held = [_numbered(path, label) for path, label in _samples(part)]
    return np.asarray(held, dtype=np.int64)


def _numbered(path: Any, label: int) -> int:
    """Return the class of one sample: of GTSRB's folders ``00000`` to ``00042`` the number, not the rank it was given.

    The ranks would be shifted by a missing folder, and the test images carry numbers.
    """
    folder = Path(path).parent.name if isinstance(path, str) else ""
    return int(folder) if len(folder) == 5 and folder.isdigit() else label


def _names(parts: Sequence[Any]) -> list[str]:
    """Return the paths of the images relative to the root; none for images in memory."""
    base = Path(parts[0].root)
    return [Path(file).relative_to(base).as_posix() for part in parts for file in _files(part)]


def _files(part: Any) -> list[Any]:
    if hasattr(part, "categories"):  # Caltech101: a class and a number an image
        folder = f"{part.root}/101_ObjectCategories"
        return [f"{folder}/{part.categories[y]}/image_{index:04d}.jpg" for y, index in zip(part.y, part.index)]
    held = _first(part, "_image_files", "_images")
    return held if held is not None else [path for path, _ in _samples(part) if isinstance(path, str)]


def _pixels(part: Any) -> NDArray[np.uint8]:
    held = _first(part, "data")
    return np.asarray(held) if held is not None else np.stack([pixels.numpy() for pixels, _ in _samples(part)])


def _samples(part: Any) -> list[tuple[Any, Any]]:
    return list(_first(part, "_samples", "samples", absent=()))


def _first(part: Any, *attributes: str, absent: Any = None) -> Any:
    """Return the first attribute that ``part`` has; torchvision has no common name for its labels and files."""
    return next((getattr(part, name) for name in attributes if hasattr(part, name)), absent)
