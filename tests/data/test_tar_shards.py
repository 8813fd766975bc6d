import io
import json
import logging
import tarfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from torch.utils.data import DataLoader

from transferbench.data.loading import Failure
from transferbench.data.tar_shards import Pair, TarShards
from transferbench.errors import UserError


def png(value: int, mode: str = "RGB") -> bytes:
    stream = io.BytesIO()
    Image.new(mode, (4, 3), value if mode == "L" else (value, 0, 0)).save(stream, "PNG")
    return stream.getvalue()


def make(folder: Path, shards: int = 4, each: int = 6, image: bytes | None = None) -> Path:
    """Shards of pairs ``<shard>-<k>``, and their sizes."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(shards):
        with tarfile.open(folder / f"{shard:03d}.tar", "w") as archive:
            for k in range(each):
                for suffix, content in (("png", image or png(10 * shard + k)), ("txt", f"text {shard}-{k}".encode())):
                    info = tarfile.TarInfo(f"{shard}-{k}.{suffix}")
                    info.size = len(content)
                    archive.addfile(info, io.BytesIO(content))
    (folder / "sizes.json").write_text(json.dumps({f"{shard:03d}.tar": each for shard in range(shards)}))
    return folder


def pairs(stream: Iterable[Pair | Failure]) -> list[Pair]:
    found = list(stream)
    assert not [pair for pair in found if isinstance(pair, Failure)]
    return found  # type: ignore[return-value]


def keys(stream: Iterable[Pair | Failure]) -> list[str]:
    return [key for _, _, key in pairs(stream)]


def loaded(shards: TarShards, workers: int) -> list[str]:
    loader: DataLoader[Any] = DataLoader(shards, batch_size=None, num_workers=workers, multiprocessing_context="fork")
    return keys(loader)


ALL = {f"{shard}-{k}" for shard in range(4) for k in range(6)}


def test_a_pair_is_an_image_its_captions_and_a_key(tmp_path: Path) -> None:
    for image, captions, key in pairs(TarShards(str(make(tmp_path)))):
        shard, k = map(int, key.split("-"))
        assert image.mode == "RGB" and image.size == (4, 3)
        assert image.getpixel((0, 0)) == (10 * shard + k, 0, 0)
        assert captions == (f"text {key}",)


def test_an_epoch_is_every_sample_in_an_order_of_its_own(tmp_path: Path) -> None:
    sources = str(make(tmp_path))

    def epoch(number: int, seed: int = 0, **options: Any) -> list[str]:
        stream = TarShards(sources, seed=seed, **options)
        stream.set_epoch(number)
        return keys(stream)

    first = epoch(0)
    assert sorted(first) == sorted(ALL)
    assert first == epoch(0)
    assert first != epoch(1)
    assert first != epoch(0, seed=1)
    ordered = epoch(0, buffer=1, initial=1)
    assert all(ordered[at : at + 6] == [f"{ordered[at][0]}-{k}" for k in range(6)] for at in range(0, 24, 6))
    assert len({tuple(key[0] for key in epoch(number, buffer=1, initial=1)[::6]) for number in range(5)}) > 2


@pytest.mark.parametrize("buffer", [2, 5, 100])
def test_the_buffer_loses_nothing(tmp_path: Path, buffer: int) -> None:
    assert sorted(keys(TarShards(str(make(tmp_path)), buffer=buffer, initial=2))) == sorted(ALL)


def test_ranks_share_the_shards_out(tmp_path: Path) -> None:
    sources = str(make(tmp_path))
    ranks = [keys(TarShards(sources, rank=rank, world=2)) for rank in range(2)]
    assert len(ranks[0]) == len(ranks[1]) == 12 == len(TarShards(sources, world=2))
    assert set(ranks[0]) | set(ranks[1]) == ALL


def test_workers_share_a_rank_s_shards_out(tmp_path: Path) -> None:
    sources = str(make(tmp_path))
    once = loaded(TarShards(sources, workers=2), 2)
    assert sorted(once) == sorted(ALL)
    assert once == loaded(TarShards(sources, workers=2), 2)


def test_every_worker_of_every_rank_gives_equally_many(tmp_path: Path) -> None:
    sources = str(make(tmp_path, shards=3))
    ranks = [TarShards(sources, rank=rank, world=2) for rank in range(2)]
    assert [len(keys(stream)) for stream in ranks] == [9, 9] == [len(stream) for stream in ranks]
    assert len(keys(TarShards(sources, samples=40))) == 40  # two passes and a bit


def test_fewer_shards_than_readers_say_both_numbers(tmp_path: Path) -> None:
    sources = str(make(tmp_path, shards=3))
    with pytest.raises(
        UserError, match=r"3 shards for 4 readers \(2 ranks of 2 workers\).*data\.workers=1 or data\.resamp"
    ):
        TarShards(sources, world=2, workers=2)
    with pytest.raises(UserError, match=r"3 shards for 4 readers \(4 ranks of 1 workers\).*trainer\.devices=3"):
        TarShards(sources, world=4)
    with pytest.raises(UserError, match=r"1 samples for 2 ranks of 1 workers"):
        TarShards(sources, world=2, samples=1)
    assert len(loaded(TarShards(sources, world=2, workers=2, resampled=True), 2)) == 8


def test_an_unknown_number_of_samples_asks_for_it(tmp_path: Path) -> None:
    (make(tmp_path) / "sizes.json").unlink()
    with pytest.raises(UserError, match=r"neither sizes\.json nor __len__.*data\.samples=N"):
        TarShards(str(tmp_path))
    assert len(TarShards(str(tmp_path), samples=24)) == 24
    with pytest.raises(TypeError):
        len(TarShards(str(tmp_path), training=False))


def test_evaluation_reads_everything_once_on_every_rank(tmp_path: Path) -> None:
    sources = str(make(tmp_path, shards=3))
    expected = [f"{shard}-{k}" for shard in range(3) for k in range(6)]
    for rank in range(2):
        assert keys(TarShards(sources, training=False, rank=rank, world=2)) == expected
    assert sorted(loaded(TarShards(sources, training=False, workers=2), 2)) == expected
    assert loaded(TarShards(f"{sources}/000.tar", training=False, workers=2), 2) == expected[:6]  # one has no shard


def test_resampling_follows_the_weights(tmp_path: Path) -> None:
    one, two = make(tmp_path / "one", 2), make(tmp_path / "two", 2)
    sources = f"{one}::{two}/{{000..001}}.tar"
    stream = TarShards(sources, samples=600, resampled=True, weights=[0, 1], buffer=1)
    make(tmp_path / "one", 2, image=b"never read")
    counts = Counter(key[0] for key in keys(stream))
    assert sum(counts.values()) == 600 and set(counts) == {"0", "1"}
    assert stream.skipped.counts == {}
    assert counts["0"] % 6 == counts["1"] % 6 == 0 and counts["0"] != 300  # whole shards, drawn with replacement
    for weights in ([1], [0, 0], [-1, 2], [float("nan"), 1]):
        with pytest.raises(UserError, match=r"data\.weights is .* for 2 sources"):
            TarShards(sources, resampled=True, weights=weights)


def test_broken_samples_are_counted_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    make(tmp_path, shards=3, image=None)
    make(tmp_path / "bad", shards=1, image=png(1)[:40])
    (tmp_path / "001.tar").write_bytes((tmp_path / "001.tar").read_bytes()[:2048])
    stream = TarShards(f"{tmp_path}::{tmp_path}/bad", training=False)
    with caplog.at_level(logging.WARNING):
        assert len(keys(stream)) == 13
    assert stream.skipped.counts == {"shard damaged or cut off, its rest": 1, "image not readable": 6}
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 2 and "image not readable: 6, first at 0-0" in told[1]


def test_no_usable_sample_at_all_is_a_failure(tmp_path: Path) -> None:
    stream = TarShards(str(make(tmp_path, image=b"no image")))
    (failure,) = list(stream)
    assert isinstance(failure, Failure)
    assert "no usable sample" in failure.message and "image not readable: 24" in failure.message


def test_transparent_and_grey_images_become_rgb(tmp_path: Path) -> None:
    assert {image.mode for image, _, _ in pairs(TarShards(str(make(tmp_path, image=png(7, "L")))))} == {"RGB"}
