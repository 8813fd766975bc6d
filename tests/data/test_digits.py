import numpy as np
from sklearn.datasets import load_digits

from transferbench.data.digits import read_digits


def test_the_digits_of_scikit_learn_by_a_stratified_split() -> None:
    splits = read_digits(seed=3)
    train, test = splits.train, splits.test
    assert (len(train), len(test)) == (1438, 359)
    reference = load_digits()
    expected = [round(count * 0.2) for count in np.bincount(reference.target)]
    assert np.bincount(test.labels).tolist() == expected
    assert train.classes == test.classes == tuple("0123456789")
    values = np.rint(reference.images * 255 / 16).astype(np.uint8)
    rows = [
        (int(images.labels[at]), np.asarray(images.image(at))[..., 0].tobytes())
        for images in (train, test)
        for at in range(len(images))
    ]
    assert sorted(rows) == sorted(zip(reference.target.tolist(), (value.tobytes() for value in values)))


def test_the_seed_decides() -> None:
    assert read_digits(1).test.digest() == read_digits(1).test.digest() != read_digits(2).test.digest()
