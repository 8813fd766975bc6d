"""The images of tar shards as an image set: none is held in memory, each is found by where it lies."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from functools import cached_property
from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from transferbench.data.annotation_files import Skipped
from transferbench.data.captions import CaptionRecords
from transferbench.data.image_set import ImageSet
from transferbench.data.images import UnreadableImage, decode_image
from transferbench.data.tar_samples import TarSample, samples_in
from transferbench.errors import UserError
from transferbench.storage import digest_of


class TarImages(ImageSet):
    """N images in tar shards, read when asked for; their label is their index.

    Args:
        shards: archives, compressed or not; the digest depends on all of them, whether they hold one of the N or not.
        places: (N, 3) int64: index of the shard, first byte in the archive, number of bytes.
        keys: the N keys of the samples.
    """

    def __init__(self, shards: Sequence[Path], places: npt.NDArray[np.int64], keys: Sequence[str]) -> None:
        self.shards, self.places, self.keys = tuple(shards), places, tuple(keys)
        self.labels, self.classes = np.arange(len(keys)), ()

    def name(self, index: int) -> str:
        """Return ``<shard>/<key>``."""
        at = range(len(self))[index]
        return f"{self.shards[self.places[at, 0]]}/{self.keys[at]}"

    def image(self, index: int) -> Image.Image:
        """Read one image; raises ``UnreadableImage``. In a compressed shard all that is before it is read, too."""
        shard, offset, size = self.places[index].tolist()
        try:
            with tarfile.open(self.shards[shard], "r:*") as archive:
                stream = archive.fileobj
                if stream is None:
                    raise OSError("closed")
                stream.seek(offset)
                return decode_image(io.BytesIO(stream.read(size)))
        except Exception as error:  # decoders raise almost anything on damaged files
            reason = " ".join(str(error).split())[:200] or type(error).__name__
            raise UnreadableImage(self.name(index), reason) from error

    def digest(self) -> str:
        """Digest the keys and places, and the names, sizes and modification times of the shards, once."""
        return self._digest

    @cached_property
    def _digest(self) -> str:
        stamps = [(shard.name, shard.stat().st_size, shard.stat().st_mtime_ns) for shard in self.shards]
        return digest_of(stamps, self.places.tobytes(), self.keys)


def read_first(
    source: str, shards: Sequence[Path], most: int, caption_field: str | None = None, start: int = 0
) -> CaptionRecords:
    """Return the first ``most`` samples of ``shards``, in order, as records; no image is decoded.

    Args:
        source: what the user calls the shards.
        shards: archives.
        most: how many samples; the reading ends there.
        caption_field: as in ``samples_in``.
        start: samples at the beginning to leave out.

    Raises:
        UserError: there is no sample.
    """
    skipped = Skipped(source)
    keys, captions, places = list[str](), list[tuple[str, ...]](), list[tuple[int, int, int]]()
    for shard, sample in islice(_all_samples(shards, skipped, caption_field), start, start + most):
        keys.append(sample.key)
        captions.append(sample.captions)
        places.append((shard, sample.offset, len(sample.image)))
    if not keys:
        raise UserError(
            f"{source}: no sample with an image and a caption ({skipped}). Check the shards, and data.caption_field: "
            "null reads captions from .txt members, a name reads that field of the .json members."
        )
    skipped.report()
    images = TarImages(shards, np.array(places, dtype=np.int64), keys)
    return CaptionRecords(images, tuple(captions), tuple(keys), skipped=dict(skipped.counts))


def _all_samples(
    shards: Sequence[Path], skipped: Skipped, caption_field: str | None
) -> Iterator[tuple[int, TarSample]]:
    for index, shard in enumerate(shards):
        for sample in samples_in(shard, skipped, caption_field):
            yield index, sample
