"""The target data sets of transfer, as data: their published sizes, where they lie, and how they are evaluated.

The first sixteen, from IN1K to iNat 2019, are those of t-ReX (arXiv:2206.15369) with the sizes and the solvers of its
evaluation. The sizes of the others are those of the archives that torchvision fetches. Counts are images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from transferbench.concepts.lists import MAPPING
from transferbench.data.class_split import REST
from transferbench.data.cog import IMAGES, LISTS, SPLIT, read_level
from transferbench.data.digits import read_digits
from transferbench.data.image_set import Splits
from transferbench.data.inaturalist import read_inaturalist
from transferbench.data.labelled import read_train_val
from transferbench.data.partition_lists import CLASSES, PARTITIONS, read_partition
from transferbench.data.patch_camelyon import FILES, read_patches
from transferbench.data.torchvision_reader import fetch_command, read_drawn, read_torchvision
from transferbench.data.voc import read_voc

Solver = Literal["lbfgs", "sgd"]
Metric = Literal["top1", "map"]


@dataclass(frozen=True)
class KnownClasses:
    """What tells the classes of a set from those of another one: the first and last class and a digest."""

    first: str
    last: str
    digest: str | None = None
    """The first 16 hexadecimal digits of the SHA-256 of the classes, one a line; None where it is not published."""


@dataclass(frozen=True)
class Published:
    """One data set as it was published."""

    classes: int
    trainval: int
    test: int
    read: Callable[..., Splits]
    """Called with the folder (unless there is none), and with ``seed=`` if the split is drawn."""
    needs: tuple[str, ...] = ()
    """What must lie below the folder; ``a|b`` is a or b."""
    fetch: str = ""
    """What to do to get it; ``{folder}`` stands for the folder."""
    solver: Solver = "lbfgs"
    """Which solver fits its logistic regression: t-ReX's choice for its sets, else SGD above 100,000 images."""
    metric: Metric = "top1"
    folder: str | None = ""
    """Where it lies below the root of all sets; None for a set that comes with a library."""
    drawn: bool = False
    """Whether the split is drawn from a seed, for want of an official one."""
    known: KnownClasses | None = None


def _torchvision(
    dataset: str,
    classes: int,
    trainval: int,
    test: int,
    needs: tuple[str, ...],
    *,
    split: Mapping[str, Any] | None = None,
    every_part: bool = False,
    **more: Any,
) -> Published:
    """Return a set that torchvision reads, by its official split or by a drawn one (arguments of ``read_drawn``)."""
    read = partial(read_torchvision, dataset) if split is None else partial(read_drawn, dataset, **split)
    more.setdefault("fetch", f"run: {fetch_command(dataset, '{folder}', every_part)}")
    return Published(classes, trainval, test, read, needs, drawn=split is not None, **more)


_COG_FETCH = (
    "put the folders n0.../ of ImageNet-21K (image-net.org, Winter 2021, for registered users) into {folder}/"
    f"{IMAGES}, and {MAPPING} and {SPLIT} of the ImageNet-CoG benchmark into {{folder}}/{LISTS}; or, to draw test "
    f"images anew, a list of the level's wnids, one a line, as {{folder}}/{LISTS}/level_{{level}}.txt"
)


def _level(level: int, trainval: int, first: str, last: str, digest: str | None = None) -> Published:
    return Published(
        1000,
        trainval,
        50_000,
        partial(read_level, level=level),
        (IMAGES, f"{LISTS}/level_{level}.txt|{LISTS}/{MAPPING}"),
        _COG_FETCH.replace("{level}", str(level)),
        "sgd",
        drawn=True,
        known=KnownClasses(first, last, digest),
    )


def _inaturalist(year: int, classes: int, trainval: int, test: int) -> Published:
    archives = f"https://ml-inat-competition-datasets.s3.amazonaws.com/{year}"
    return Published(
        classes,
        trainval,
        test,
        partial(read_inaturalist, year=year),
        (f"train{year}.json", f"val{year}.json", f"train_val{year}"),
        f"unpack {archives}/train_val{year}.tar.gz, train{year}.json.tar.gz and val{year}.json.tar.gz of the same "
        "address into {folder}",
        "sgd",
        folder=f"inat{year}",
    )


TARGETS: dict[str, Published] = {
    "in1k": Published(
        1000, 1_281_167, 50_000, read_train_val, ("train", "val"),
        "put the training and validation images of ILSVRC 2012 (image-net.org, for registered users) into "
        "{folder}/train/<wnid> and {folder}/val/<wnid>",
        "sgd", folder="imagenet",
    ),
    "cog_l1": _level(1, 1_118_804, "n01322508", "n15086247", "4807aaff7abf6707"),
    "cog_l2": _level(2, 1_115_788, "n01442972", "n13902336"),
    "cog_l3": _level(3, 1_095_203, "n01438581", "n15019030", "74945b88f4385980"),
    "cog_l4": _level(4, 1_107_128, "n01322604", "n15093298"),
    "cog_l5": _level(5, 1_091_654, "n00120010", "n15102455", "3c2a5f490813724d"),
    "aircraft": _torchvision("FGVCAircraft", 100, 6_667, 3_333, ("fgvc-aircraft-2013b",)),
    "cars196": _torchvision(
        "StanfordCars", 196, 8_144, 8_041,
        ("stanford_cars/cars_train", "stanford_cars/cars_test", "stanford_cars/devkit/cars_meta.mat",
         "stanford_cars/devkit/cars_train_annos.mat", "stanford_cars/cars_test_annos_withlabels.mat"),
        fetch="its own address is gone: put cars_train/, cars_test/ (kaggle.com/datasets/jessicali9530/"
        "stanford-cars-dataset), devkit/ and cars_test_annos_withlabels.mat (github.com/pytorch/vision/issues/7545) "
        "into {folder}/stanford_cars",
    ),
    "dtd": _torchvision("DTD", 47, 3_760, 1_880, ("dtd/dtd/labels", "dtd/dtd/images")),
    "eurosat": _torchvision(
        "EuroSAT", 10, 18_900, 8_100, ("eurosat/2750",),
        split={"sizes": {"test": 810, "val": 540}, "test": "test"},
    ),
    "flowers": _torchvision(
        "Flowers102", 102, 2_040, 6_149, ("flowers-102/jpg", "flowers-102/imagelabels.mat", "flowers-102/setid.mat")
    ),
    "pets": _torchvision(
        "OxfordIIITPet", 37, 3_680, 3_669, ("oxford-iiit-pet/images", "oxford-iiit-pet/annotations")
    ),
    "food101": _torchvision("Food101", 101, 75_750, 25_250, ("food-101/images", "food-101/meta")),
    "sun397": Published(
        397, 19_850, 19_850, read_partition,
        (CLASSES, f"Training_01.txt|{PARTITIONS}/Training_01.txt", f"Testing_01.txt|{PARTITIONS}/Testing_01.txt"),
        "unpack http://vision.princeton.edu/projects/2010/SUN/SUN397.tar.gz to {folder}, and "
        "https://vision.princeton.edu/projects/2010/SUN/download/Partitions.zip to {folder}/Partitions",
        folder="SUN397",
    ),
    "inat2018": _inaturalist(2018, 8_142, 437_513, 24_426),
    "inat2019": _inaturalist(2019, 1_010, 265_213, 3_030),
    "voc2007": Published(
        20, 5_011, 4_952, read_voc,
        ("JPEGImages", "ImageSets/Main/aeroplane_trainval.txt", "ImageSets/Main/aeroplane_test.txt"),
        "unpack VOCtrainval_06-Nov-2007.tar and VOCtest_06-Nov-2007.tar of "
        "http://host.robots.ox.ac.uk/pascal/VOC/voc2007 so that {folder}/JPEGImages is there",
        metric="map", folder="VOCdevkit/VOC2007",
    ),
    "cifar10": _torchvision("CIFAR10", 10, 50_000, 10_000, ("cifar-10-batches-py",)),
    "cifar100": _torchvision("CIFAR100", 100, 50_000, 10_000, ("cifar-100-python",)),
    "stl10": _torchvision("STL10", 10, 5_000, 8_000, ("stl10_binary",)),
    "svhn": _torchvision(
        "SVHN", 10, 73_257, 26_032, ("train_32x32.mat", "test_32x32.mat"), folder="svhn", every_part=True
    ),
    "mnist": _torchvision("MNIST", 10, 60_000, 10_000, ("MNIST/raw",)),
    "fashion_mnist": _torchvision("FashionMNIST", 10, 60_000, 10_000, ("FashionMNIST/raw",)),
    "kmnist": _torchvision("KMNIST", 10, 60_000, 10_000, ("KMNIST/raw",)),
    "usps": _torchvision("USPS", 10, 7_291, 2_007, ("usps.bz2", "usps.t.bz2"), folder="usps", every_part=True),
    "caltech101": _torchvision(
        "Caltech101", 101, 3_030, 5_647, ("caltech101/101_ObjectCategories",),
        split={"sizes": {"train": 30}, "test": REST},
    ),
    "gtsrb": _torchvision(
        "GTSRB", 43, 26_640, 12_630,
        ("gtsrb/GTSRB/Training", "gtsrb/GTSRB/Final_Test/Images", "gtsrb/GT-final_test.csv"), every_part=True,
    ),
    "pcam": Published(
        2, 294_912, 32_768, read_patches, FILES,
        "run: python -c \"import torchvision.datasets as d; "
        "[d.PCAM('{folder}', split=s, download=True) for s in ('train', 'val', 'test')]\"",
        "sgd",
    ),
    "country211": _torchvision(
        "Country211", 211, 42_200, 21_100, ("country211/train", "country211/valid", "country211/test")
    ),
    "rendered_sst2": _torchvision("RenderedSST2", 2, 7_792, 1_821, ("rendered-sst2",)),
    "fer2013": _torchvision(
        "FER2013", 7, 28_709, 7_178, ("fer2013/fer2013.csv|fer2013/icml_face_data.csv",),
        fetch="put fer2013.csv or icml_face_data.csv (kaggle.com/c/challenges-in-representation-learning-facial-"
        "expression-recognition-challenge) into {folder}/fer2013",
    ),
    "clevr_count": _torchvision("CLEVRClassification", 8, 70_000, 15_000, ("clevr/CLEVR_v1.0",)),
    "imagenette": _torchvision("Imagenette", 10, 9_469, 3_925, ("imagenette2",)),
    "digits": Published(10, 1_438, 359, read_digits, folder=None, drawn=True),
}  # fmt: skip

_COG = tuple(f"cog_l{level}" for level in range(1, 6))
_SMALL = ("aircraft", "cars196", "dtd", "eurosat", "flowers", "pets", "food101", "sun397")
_INAT = ("inat2018", "inat2019")

GROUPS: dict[str, tuple[str, ...]] = {
    "cog": _COG,
    "trex13": (*_COG, *_SMALL),
    "trex15": (*_COG, *_SMALL, *_INAT),
    "trex16": ("in1k", *_COG, *_SMALL, *_INAT),
    "vtab_natural": ("cifar100", "caltech101", "dtd", "flowers", "pets", "svhn", "sun397"),
}
"""Names for several sets: the averages of t-ReX's paper (13) and code (15), the natural tasks of VTAB (1910.04867)."""
