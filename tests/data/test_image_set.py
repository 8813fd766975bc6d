from pathlib import Path

import numpy as np
import pytest

from transferbench.data.image_set import ArrayImages, FolderImages

LABELS = [[1, 0, -1], [0, 1, 1]]
PIXELS = np.zeros((2, 4, 4), dtype=np.uint8)


def test_labels_of_a_multi_label_set(tmp_path: Path) -> None:
    images = FolderImages(tmp_path, ["1.jpg", "2.jpg"], LABELS, "abc")
    assert images.multi_label
    assert len(images) == 2
    assert images.labels.dtype == np.int64
    assert images.select([1]).labels.tolist() == [[0, 1, 1]]
    other = FolderImages(tmp_path, ["1.jpg", "2.jpg"], [[1, 0, 0], [0, 1, 1]], "abc")
    assert images.digest() != other.digest()
    assert ArrayImages(PIXELS, LABELS, "abc").multi_label
    assert not ArrayImages(PIXELS, [0, 1], "ab").multi_label


@pytest.mark.parametrize("labels", [[[1, 0], [0, 1]], [[[1]], [[0]]]])
def test_every_class_has_a_column(labels: list[object]) -> None:
    with pytest.raises(ValueError, match=r"for 3 classes"):
        ArrayImages(PIXELS, labels, "abc")
