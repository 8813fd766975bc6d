import bz2
import csv
import json
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torchvision
from PIL import Image
from scipy import io

from transferbench.data.class_split import REST
from transferbench.data.image_set import ImageSet
from transferbench.data.torchvision_reader import PARTS, WHOLE, fetch_command, read_drawn, read_torchvision
from transferbench.errors import UserError

rng = np.random.default_rng(0)


def picture(path: Path, size: tuple[int, int] = (9, 7)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **({"quality": 100} if path.suffix in (".jpg", ".jpeg") else {}))


def write(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


def aircraft(root: Path) -> None:
    data = root / "fgvc-aircraft-2013b" / "data"
    write(data / "variants.txt", "707-320", "Boeing 717", "F/A-18")
    write(data / "images_variant_trainval.txt", "0000001 707-320", "0000002 Boeing 717", "0000003 F/A-18")
    write(data / "images_variant_test.txt", "0000005 F/A-18", "0000004 Boeing 717")
    for number in range(1, 6):
        picture(data / "images" / f"000000{number}.jpg")


def cars(root: Path) -> None:
    folder = root / "stanford_cars"
    (folder / "devkit").mkdir(parents=True)
    names = np.array(["AM General Hummer", "Acura RL", "Audi 100"], dtype=object)
    io.savemat(folder / "devkit" / "cars_meta.mat", {"class_names": names})
    kinds = [(key, object) for key in ("bbox_x1", "class", "fname")]
    for file, images, labels in (
        ("devkit/cars_train_annos.mat", "cars_train", (3, 1, 2)),
        ("cars_test_annos_withlabels.mat", "cars_test", (2, 1)),
    ):
        rows = [(30, label, f"{number:05d}.jpg") for number, label in enumerate(labels, start=1)]
        io.savemat(folder / file, {"annotations": np.array(rows, dtype=kinds)})
        for _, _, name in rows:
            picture(folder / images / name)


def dtd(root: Path) -> None:
    folder = root / "dtd" / "dtd"
    parts = {"train": ["a/1.jpg", "b/1.jpg"], "val": ["b/2.jpg", "a/2.jpg"], "test": ["b/3.jpg", "a/3.jpg"]}
    for part, names in parts.items():
        write(folder / "labels" / f"{part}1.txt", *names)
        for name in names:
            picture(folder / "images" / name)


def flowers(root: Path) -> None:
    folder = root / "flowers-102"
    folder.mkdir()
    io.savemat(folder / "imagelabels.mat", {"labels": np.array([[102, 1, 50, 1, 3]])})
    io.savemat(folder / "setid.mat", {"trnid": [[2, 1]], "valid": [[3, 5]], "tstid": [[4, 1]]})
    for number in range(1, 6):
        picture(folder / "jpg" / f"image_{number:05d}.jpg")


def pets(root: Path) -> None:
    folder = root / "oxford-iiit-pet"
    write(folder / "annotations" / "trainval.txt", "Abyssinian_1 1 1 1", "american_bulldog_7 2 2 1")
    write(folder / "annotations" / "test.txt", "american_bulldog_2 2 2 1", "Abyssinian_3 1 1 1", "Abyssinian_4 1 1 1")
    for name in ("Abyssinian_1", "american_bulldog_7", "american_bulldog_2", "Abyssinian_3", "Abyssinian_4"):
        picture(folder / "images" / f"{name}.jpg")


def food(root: Path) -> None:
    folder = root / "food-101"
    for part, names in (("train", {"b": ["b/1"], "a": ["a/4", "a/2"]}), ("test", {"a": ["a/3"], "b": ["b/5", "b/6"]})):
        write(folder / "meta" / f"{part}.json", json.dumps(names))
        for name in (name for listed in names.values() for name in listed):
            picture(folder / "images" / f"{name}.jpg")


def gtsrb(root: Path) -> None:
    folder = root / "gtsrb"
    for label, count in enumerate((2, 1, 3)):
        for number in range(count):
            picture(folder / "GTSRB" / "Training" / f"{label:05d}" / f"{number:05d}.ppm")
    for number in range(2):
        picture(folder / "GTSRB" / "Final_Test" / "Images" / f"{number:05d}.ppm")
    write(folder / "GT-final_test.csv", "Filename;Width;ClassId", "00000.ppm;9;2", "00001.ppm;9;0")


def class_folders(*parts: str, classes: tuple[str, ...], extension: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        for part in parts:
            for count, name in enumerate(classes, start=1):
                for number in range(count):
                    picture(root / part / name / f"image_{number + 1:04d}{extension}")

    return make


def clevr(root: Path) -> None:
    folder = root / "clevr" / "CLEVR_v1.0"
    for part, counts in (("train", (3, 10, 5)), ("val", (4, 3))):
        scenes = []
        for number, count in enumerate(counts):
            name = f"CLEVR_{part}_{number:06d}.png"
            picture(folder / "images" / part / name)
            scenes.append({"image_filename": name, "objects": [{}] * count})
        write(folder / "scenes" / f"CLEVR_{part}_scenes.json", json.dumps({"scenes": scenes[::-1]}))


def cifar(folder: str, batches: tuple[str, ...], test: str, key: str, meta: str, names: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        (root / folder).mkdir()
        for name in (*batches, test):
            pixels = rng.integers(0, 256, (4, 3072), dtype=np.uint8)
            (root / folder / name).write_bytes(pickle.dumps({"data": pixels, key: [0, 1, 2, 9]}))
        (root / folder / meta).write_bytes(pickle.dumps({names: list("abcdefghij")}))

    return make


def mnist(name: str) -> Callable[[Path], None]:
    def make(root: Path) -> None:
        raw = root / name / "raw"
        raw.mkdir(parents=True)
        for part, labels in (("train", (5, 0, 9)), ("t10k", (7, 1))):
            pixels = rng.integers(0, 256, (len(labels), 28, 28), dtype=np.uint8)
            header = struct.pack(">4I", 0x803, len(labels), 28, 28)
            (raw / f"{part}-images-idx3-ubyte").write_bytes(header + pixels.tobytes())
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, len(labels)) + bytes(labels))

    return make


def usps(root: Path) -> None:
    for name, labels in (("usps.bz2", (1, 10)), ("usps.t.bz2", (3, 2))):
        rows = (" ".join(f"{at}:{value:.3f}" for at, value in enumerate(rng.uniform(-1, 1, 256), 1)) for _ in labels)
        (root / name).write_bytes(bz2.compress("".join(f"{y} {row}\n" for y, row in zip(labels, rows)).encode()))


def stl10(root: Path) -> None:
    folder = root / "stl10_binary"
    folder.mkdir()
    for part, labels in (("train", (1, 10, 3)), ("test", (2, 1))):
        (folder / f"{part}_X.bin").write_bytes(rng.integers(0, 256, len(labels) * 27648, dtype=np.uint8).tobytes())
        (folder / f"{part}_y.bin").write_bytes(bytes(labels))
    write(folder / "class_names.txt", *"abcdefghij")


def svhn(root: Path) -> None:
    for part, labels in (("train", (1, 10, 2)), ("test", (3, 10))):
        pixels = rng.integers(0, 256, (32, 32, 3, len(labels)), dtype=np.uint8)
        io.savemat(root / f"{part}_32x32.mat", {"X": pixels, "y": np.array(labels)[:, None]})


def fer(root: Path) -> None:
    (root / "fer2013").mkdir()
    with (root / "fer2013" / "fer2013.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["emotion", "pixels", "Usage"])
        for label, usage in ((6, "Training"), (0, "PublicTest"), (3, "Training"), (2, "PrivateTest")):
            table.writerow([label, " ".join(map(str, rng.integers(0, 256, 2304))), usage])


FIVE = tuple(f"data_batch_{part}" for part in range(1, 6))
TREES: dict[str, Callable[[Path], None]] = {
    "CIFAR10": cifar("cifar-10-batches-py", FIVE, "test_batch", "labels", "batches.meta", "label_names"),
    "CIFAR100": cifar("cifar-100-python", ("train",), "test", "fine_labels", "meta", "fine_label_names"),
    "MNIST": mnist("MNIST"),
    "FashionMNIST": mnist("FashionMNIST"),
    "KMNIST": mnist("KMNIST"),
    "USPS": usps,
    "STL10": stl10,
    "SVHN": svhn,
    "Food101": food,
    "StanfordCars": cars,
    "GTSRB": gtsrb,
    "FER2013": fer,
    "DTD": dtd,
    "Flowers102": flowers,
    "RenderedSST2": class_folders(
        *(f"rendered-sst2/{part}" for part in ("train", "valid", "test")),
        classes=("negative", "positive"), extension=".png",
    ),
    "Country211": class_folders(
        *(f"country211/{part}" for part in ("train", "valid", "test")), classes=("AD", "AE"), extension=".jpg"
    ),
    "FGVCAircraft": aircraft,
    "OxfordIIITPet": pets,
    "CLEVRClassification": clevr,
    "Imagenette": class_folders(
        *(f"imagenette2/{part}" for part in ("train", "val")), classes=("n01440764", "n02102040"), extension=".jpeg"
    ),
    "EuroSAT": class_folders("eurosat/2750", classes=("Crop", "Forest", "River"), extension=".jpg"),
    "Caltech101": class_folders(
        "caltech101/101_ObjectCategories", classes=("BACKGROUND_Google", "Faces", "ant", "wrench"), extension=".jpg"
    ),
}  # fmt: skip


@pytest.fixture
def no_checksums(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision's readers accept small files in place of the published ones."""
    datasets = torchvision.datasets
    for reader in (datasets.CIFAR10, datasets.STL10, datasets.SVHN, datasets.Flowers102):
        monkeypatch.setattr(reader, "_check_integrity", lambda self: True)
    for module in (datasets.cifar, datasets.fer2013):
        monkeypatch.setattr(module, "check_integrity", lambda *_, **__: True)


def check_images(images: ImageSet, dataset: str, root: Path, arguments: list[dict[str, object]], lowest: int) -> None:
    """Compare with what torchvision itself gives, image by image."""
    parts = [getattr(torchvision.datasets, dataset)(str(root), **kwargs) for kwargs in arguments]
    expected = [part[at] for part in parts for at in range(len(part))]
    assert len(images) == len(expected) > 1
    for at, (image, label) in enumerate(expected):
        assert images.labels[at] == label - lowest
        assert np.array_equal(np.asarray(images.image(at)), np.asarray(image.convert("RGB")))


@pytest.mark.usefixtures("no_checksums")
@pytest.mark.parametrize("dataset", PARTS)
def test_images_and_labels_are_those_of_torchvision(tmp_path: Path, dataset: str) -> None:
    TREES[dataset](tmp_path)
    splits = read_torchvision(dataset, tmp_path)
    train, test = PARTS[dataset]
    lowest = 3 if dataset == "CLEVRClassification" else 0
    check_images(splits.train, dataset, tmp_path, train, lowest)
    check_images(splits.test, dataset, tmp_path, test, lowest)
    assert splits.train.classes == splits.test.classes
    assert len(set(splits.train.classes)) > int(max(splits.train.labels.max(), splits.test.labels.max()))
    assert all(isinstance(name, str) for name in splits.train.classes)
    assert len(set(splits.train.names)) == len(splits.train)


def test_classes_have_their_names(tmp_path: Path) -> None:
    aircraft(tmp_path)
    assert read_torchvision("FGVCAircraft", tmp_path).test.classes == ("707-320", "Boeing 717", "F/A-18")
    cars(tmp_path)
    assert read_torchvision("StanfordCars", tmp_path).test.classes == ("AM General Hummer", "Acura RL", "Audi 100")
    clevr(tmp_path)
    assert read_torchvision("CLEVRClassification", tmp_path).test.classes == tuple(map(str, range(3, 11)))
    TREES["Imagenette"](tmp_path)
    assert read_torchvision("Imagenette", tmp_path).test.classes == ("tench", "English springer")


def test_dtd_joins_training_and_validation_parts(tmp_path: Path) -> None:
    dtd(tmp_path)
    write(tmp_path / "dtd" / "dtd" / "labels" / "val1.txt", "b/2.jpg")
    splits = read_torchvision("DTD", tmp_path)
    assert splits.train.names == ("dtd/dtd/images/a/1.jpg", "dtd/dtd/images/b/1.jpg", "dtd/dtd/images/b/2.jpg")
    assert splits.train.labels.tolist() == [0, 1, 1]  # torchvision calls b 0 where no image of a is listed
    assert len(splits.train.digest()) == 16


def test_a_missing_class_folder_shifts_no_label(tmp_path: Path) -> None:
    gtsrb(tmp_path)
    for path in (tmp_path / "gtsrb" / "GTSRB" / "Training" / "00001").iterdir():
        path.unlink()
    (tmp_path / "gtsrb" / "GTSRB" / "Training" / "00001").rmdir()
    splits = read_torchvision("GTSRB", tmp_path)
    assert splits.train.labels.tolist() == [0, 0, 2, 2, 2]
    assert splits.test.labels.tolist() == [2, 0]


def test_no_image_is_opened_by_listing(tmp_path: Path) -> None:
    aircraft(tmp_path)
    for path in (tmp_path / "fgvc-aircraft-2013b" / "data" / "images").iterdir():
        path.unlink()
    assert len(read_torchvision("FGVCAircraft", tmp_path).train) == 3


@pytest.mark.parametrize(
    ("dataset", "sizes", "test", "counts"),
    [
        ("EuroSAT", {"test": 1, "val": 1}, "test", ([2, 3, 4], [1, 1, 1])),
        ("Caltech101", {"train": 2}, REST, ([2, 2, 2], [1, 2, 3])),
    ],
)
def test_sets_without_a_split_get_a_drawn_one(
    tmp_path: Path, dataset: str, sizes: dict[str, int], test: str, counts: tuple[list[int], list[int]]
) -> None:
    assert dataset in WHOLE
    where, beside = {
        "EuroSAT": ("eurosat/2750", {}), "Caltech101": ("caltech101/101_ObjectCategories", {"BACKGROUND_Google": 7}),
    }[dataset]  # fmt: skip
    for name, count in {"a": 3, "b": 4, "c": 5, **beside}.items():
        for number in range(count):
            picture(tmp_path / where / name / f"image_{number + 1:04d}.jpg")
    splits = read_drawn(dataset, tmp_path, seed=1, sizes=sizes, test=test)
    assert splits.train.classes == splits.test.classes == ("a", "b", "c")
    assert [np.bincount(images.labels).tolist() for images in (splits.train, splits.test)] == list(counts)
    names = [*splits.train.names, *splits.test.names]
    assert len(set(names)) == 12
    assert all((Path(splits.train.root) / name).is_file() for name in names)
    assert all(Path(name).parent.name == "abc"[label] for name, label in zip(splits.test.names, splits.test.labels))
    again = read_drawn(dataset, tmp_path, seed=1, sizes=sizes, test=test)
    assert again.test.names == splits.test.names
    others = {read_drawn(dataset, tmp_path, seed=seed, sizes=sizes, test=test).test.names for seed in range(5)}
    assert len(others) > 1


def test_a_class_too_small_for_the_drawn_split(tmp_path: Path) -> None:
    TREES["EuroSAT"](tmp_path)
    with pytest.raises(UserError, match=r"EuroSAT: 2 classes have fewer .*: Crop \(1 of 3\), Forest \(2 of 3\); it"):
        read_drawn("EuroSAT", tmp_path, 0, {"test": 1, "val": 1}, "test")


@pytest.mark.parametrize("dataset", PARTS)
def test_missing_files_say_how_to_fetch_them(tmp_path: Path, dataset: str) -> None:
    with pytest.raises(UserError, match=rf"{dataset} is not there .*data\.root=FOLDER") as caught:
        read_torchvision(dataset, tmp_path / "nothing")
    assert "\n" not in str(caught.value)
    assert ("download=True)" in str(caught.value).partition("data.root")[2]) == (
        dataset not in ("StanfordCars", "FER2013")
    )


@pytest.mark.parametrize("dataset", [*PARTS, *WHOLE])
def test_the_command_calls_torchvision_with_arguments_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    called: list[dict[str, object]] = []
    monkeypatch.setattr(
        torchvision.datasets, dataset, lambda root, **arguments: called.append({"at": root, **arguments})
    )
    command = fetch_command(dataset, "/data", every_part=True)
    assert command.startswith('python -c "')
    exec(command.removeprefix('python -c "').removesuffix('"'))
    wanted = [part for parts in PARTS.get(dataset, ([{}], [])) for part in parts]
    assert called == [{"at": "/data", "download": True, **part} for part in wanted]
    assert fetch_command(dataset, "/data").count("download=True") == 1


def test_damaged_lists_are_told(tmp_path: Path) -> None:
    aircraft(tmp_path)
    write(tmp_path / "fgvc-aircraft-2013b" / "data" / "images_variant_test.txt", "0000005 F/A-19")
    with pytest.raises(UserError, match=r"the files of FGVCAircraft are damaged \(KeyError: 'F/A-19'\); fetch them"):
        read_torchvision("FGVCAircraft", tmp_path)
    cars(tmp_path)
    meta = tmp_path / "stanford_cars" / "devkit" / "cars_meta.mat"
    io.savemat(meta, {"class_names": np.array(["a", "b"], dtype=object)})
    with pytest.raises(UserError, match=r"StanfordCars are damaged \(ValueError: labels from 0 to 2 for 2 classes\)"):
        read_torchvision("StanfordCars", tmp_path)


def test_unknown_name(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"data\.dataset is 'CIFAR11'; expected one of CIFAR10, CIFAR100"):
        read_torchvision("CIFAR11", tmp_path)
