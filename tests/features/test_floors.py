from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from transferbench.data.image_set import ArrayImages, FolderImages
from transferbench.features.floors import colour_histogram, describe, pixels


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, (48, 32, 3), dtype=np.uint8)


def test_pixels_are_means_of_boxes(picture):
    found = pixels(Image.fromarray(picture)).reshape(16, 16, 3)
    expected = np.array(
        [[picture[3 * i : 3 * i + 3, 2 * j : 2 * j + 2].mean(axis=(0, 1)) for j in range(16)] for i in range(16)]
    )
    np.testing.assert_allclose(found * 255, expected, atol=1.01)  # Pillow rounds after each axis
    assert found.dtype == np.float32


def test_histogram_is_the_naive_count(picture):
    counts = np.zeros((8, 8, 8))
    for red, green, blue in picture.reshape(-1, 3).tolist():
        counts[red // 32, green // 32, blue // 32] += 1
    found = colour_histogram(Image.fromarray(picture))
    np.testing.assert_allclose(found, np.sqrt(counts.reshape(-1) / (48 * 32)), rtol=1e-6)
    assert np.linalg.norm(found) == pytest.approx(1)


def test_describe_reads_each_picture_once():
    class Counted(ArrayImages):
        reads = 0

        def image(self, index):
            self.reads += 1
            return super().image(index)

    arrays = np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), dtype=np.uint8)
    images = Counted(arrays, [0, 1, 1, 0], ("a", "b"))
    found = describe(images)
    assert images.reads == 4
    assert found["pixels"].x.shape == (4, 768)
    assert found["colour_histogram"].x.shape == (4, 512)
    np.testing.assert_array_equal(found["pixels"].x[2], arrays[2].reshape(-1).astype(np.float32) / 255)
    assert found["pixels"].y.tolist() == [0, 1, 1, 0]


def test_describe_leaves_out_unreadable_images(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    images = FolderImages(tmp_path, ["gone.png", "a.png"], [0, 1], ("x", "y"))
    found = describe(images)["pixels"]
    assert (found.y.tolist(), found.positions.tolist(), found.x.shape) == ([1], [1], (1, 768))
