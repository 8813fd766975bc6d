"""Dense features against the networks' own, the published grids, and pictures whose content is at a known place."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import Tensor, nn

from transferbench.errors import UserError
from transferbench.models.backbone import Backbone, resnet_small, timm_backbone, torchvision_backbone
from transferbench.models.dense import DenseFeatures

SMALL = {"channels": (8, 8, 16, 16), "layers": (1, 1, 1, 1)}


def small_vgg() -> nn.Module:
    """VGG's layers in small, which torchvision keeps under ``features``: pools that pad nothing."""
    from torchvision.models.vgg import make_layers

    net = nn.Sequential()
    net.add_module("features", make_layers([8, "M", 16, "M", 32, 32, "M", 48, 48, "M", 64, 64, "M"], batch_norm=True))
    return net


def vit(patch: int = 8, registers: int = 0) -> Backbone:
    import timm

    settings = {"embed_dim": 24, "depth": 3, "num_heads": 3, "img_size": 64, "reg_tokens": registers}
    net = timm.create_model(
        "vit_tiny_patch16_224", patch_size=patch, num_classes=0, dynamic_img_size=True, dynamic_img_pad=True, **settings
    )
    return Backbone(net, 24).eval()


def pictures(height: int, width: int, count: int = 1) -> Tensor:
    return torch.randint(0, 256, (count, 3, height, width), dtype=torch.uint8)


@pytest.mark.parametrize("registers", [0, 4])
@pytest.mark.parametrize(("height", "width"), [(64, 64), (48, 80)])
def test_tokens_are_those_of_timm(registers: int, height: int, width: int) -> None:
    backbone, images = vit(registers=registers), pictures(height, width, 2)
    with torch.no_grad():
        tokens = backbone.net.forward_features(backbone.normalised(images))[:, 1 + registers :]
    maps = DenseFeatures(backbone, grid=1)(images)
    assert maps.shape == (2, 24, height // 8, width // 8)
    torch.testing.assert_close(maps, tokens.mT.reshape(maps.shape), atol=1e-5, rtol=1e-5)


def test_a_block_is_taken_with_the_final_norm() -> None:
    backbone, images = vit(), pictures(64, 64)
    first, third, last = (DenseFeatures(backbone, stage=stage, grid=1)(images) for stage in (0, 2, -1))
    torch.testing.assert_close(third, last)
    torch.testing.assert_close(first.mean(dim=1), torch.zeros(1, 8, 8), atol=1e-5, rtol=0)
    assert not torch.allclose(first, last, atol=0.01)


@pytest.mark.parametrize(
    ("height", "width", "grid"),
    [(378, 504, (47, 63)), (128, 228, (16, 28)), (224, 224, (28, 28)), (240, 135, (30, 16))],
)
def test_published_grids(height: int, width: int, grid: tuple[int, int]) -> None:
    assert DenseFeatures(vit(), grid=1)(pictures(height, width)).shape == (1, 24, *grid)


@pytest.mark.parametrize("stride", [None, 8])
@pytest.mark.parametrize("kind", ["ours", "torchvision", "timm", "vit"])
def test_a_small_picture_gets_the_grid(kind: str, stride: int | None) -> None:
    makers = {
        "ours": lambda: resnet_small(4),
        "torchvision": lambda: torchvision_backbone("resnet18"),
        "timm": lambda: timm_backbone("resnet26d", **SMALL),
        "vit": lambda: vit(16),
    }
    dense = DenseFeatures(makers[kind](), stride=stride, grid=7 if stride is None else 25)
    assert dense.stride == (stride or (16 if kind == "vit" else 32))
    assert dense(pictures(100, 130)).shape == (1, dense.width, dense.grid, round(1.3 * dense.grid))
    assert dense.cells(960, 1280) == (960 // dense.stride, 1280 // dense.stride)


def test_a_network_that_pads_nothing_gives_every_cell() -> None:
    dense = DenseFeatures(Backbone(small_vgg(), 64), stride=16, grid=6)
    assert dense(pictures(96, 112)).shape == (1, 64, 6, 7)


def moment(maps: Tensor, axis: int) -> float:
    """Return the mean place, in cells, of what ``maps`` (B, C, h, w) hold."""
    weights = maps.square().sum(dim=(0, 1)).sum(dim=1 - axis)
    return float((weights * (torch.arange(len(weights)) + 0.5)).sum() / weights.sum())


@pytest.mark.parametrize(("stride", "within"), [(8, 6), (None, 10)])
@pytest.mark.parametrize("kind", ["ours", "torchvision", "clip", "vgg", "vit"])
def test_cells_see_what_lies_within_them(modules: SimpleNamespace, kind: str, stride: int | None, within: int) -> None:
    makers = {
        "ours": lambda: resnet_small(16),
        "torchvision": lambda: torchvision_backbone("resnet18"),
        "clip": lambda: Backbone(modules.tiny_clip(), 128),
        "vgg": lambda: Backbone(small_vgg(), 64),
        "vit": lambda: vit(16),
    }
    dense = DenseFeatures(makers[kind](), stride=stride, grid=1)
    grey = torch.full((1, 3, 256, 256), 0.5)
    dotted = grey.clone()
    dotted[..., 116:132, 132:148] = 1.0
    changed = dense(dotted) - dense(grey)
    found = dense.stride * moment(changed, 0), dense.stride * moment(changed, 1)
    assert found == (pytest.approx(124, abs=within), pytest.approx(140, abs=within))


@pytest.mark.parametrize(
    ("backbone", "widths"),
    [
        (resnet_small(4), [4, 8, 16, 32]),
        (torchvision_backbone("resnet18"), [64, 128, 256, 512]),
        (Backbone(small_vgg(), 64), [8, 16, 32, 48, 64, 64]),
        (timm_backbone("resnet26", **SMALL), [64, 32, 32, 64, 64]),
    ],
    ids=["ours", "torchvision", "features", "timm"],
)
def test_stages(backbone: Backbone, widths: list[int]) -> None:
    made = [DenseFeatures(backbone, stage=stage, grid=1) for stage in range(len(widths))]
    assert [dense.width for dense in made] == widths
    assert made[-1].own_stride == 32 and made[0].own_stride < made[2].own_stride
    assert made[1](pictures(64, 64)).shape == (1, widths[1], 64 // made[1].stride, 64 // made[1].stride)
    with pytest.raises(UserError, match=f"stage=9: .* has {len(widths)} stages"):
        DenseFeatures(backbone, stage=9)


def test_a_stage_is_what_the_network_has_there() -> None:
    backbone = torchvision_backbone("convnext_tiny").eval()  # whose cells need no moving
    images = pictures(64, 96)
    with torch.no_grad():
        expected = backbone.net.features[:4](backbone.normalised(images))
    torch.testing.assert_close(DenseFeatures(backbone, stage=1, grid=1)(images), expected)
    torch.testing.assert_close(DenseFeatures(backbone, grid=1)(images), backbone.feature_map(images))


def test_the_backbone_given_stays_as_it_was() -> None:
    backbone = resnet_small(4).train()
    before, printed = {k: v.clone() for k, v in backbone.state_dict().items()}, repr(backbone)
    dense = DenseFeatures(backbone, stride=8)
    first = dense(pictures(50, 50))
    assert backbone.training and repr(backbone) == printed and all(p.requires_grad for p in backbone.parameters())
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())
    assert not first.requires_grad


def test_bytes_and_fractions_are_the_same_picture() -> None:
    dense, images = DenseFeatures(vit(), grid=9), pictures(50, 60, 2)
    assert torch.equal(dense(images), dense(images)) and torch.equal(dense(images), dense(images / 255))
    torch.testing.assert_close(dense(images)[:1], dense(images[:1]), atol=1e-5, rtol=1e-5)


def test_a_head_s_features_at_every_cell(modules: SimpleNamespace) -> None:
    backbone = Backbone(modules.tiny_clip(), 24)
    dense = DenseFeatures(backbone, stride=8, grid=4, head=backbone.net.head)
    assert dense.width == 24 and dense(pictures(64, 64)).shape == (1, 24, 8, 8)
    maps = DenseFeatures(backbone, stride=8, grid=4)(images := pictures(64, 64))
    values = backbone.net.head.v(maps.movedim(1, -1) + backbone.net.head.pos_embed[1:].mean(dim=0))
    expected = backbone.net.head.proj(values).movedim(-1, 1)
    torch.testing.assert_close(dense(images), expected, atol=1e-4, rtol=1e-4)
    with pytest.raises(UserError, match="stage=1: a head reads the last map"):
        DenseFeatures(backbone, stage=1, head=backbone.net.head)


def test_what_cannot_be_had_is_refused() -> None:
    flat = Backbone(nn.Sequential(nn.Flatten(), nn.Linear(12288, 4)), 4)
    with pytest.raises(UserError, match="has no feature map that is known here"):
        DenseFeatures(flat)
    with torch.device("meta"):
        fixed = timm_backbone("beit_base_patch16_224")
    with pytest.raises(UserError, match="Beit does not take pictures of any size"):
        DenseFeatures(fixed)
    with torch.device("meta"):
        hybrid = timm_backbone("vit_tiny_r_s16_p8_224")
    with pytest.raises(UserError, match="VisionTransformer does not embed square patches by one convolution"):
        DenseFeatures(hybrid)
    with pytest.raises(UserError, match="grid=200: pictures of 100 x 100 pixels would be enlarged to 6400 x 6400"):
        DenseFeatures(resnet_small(4), grid=200).cells(100, 100)
    with pytest.raises(UserError, match="grid=0, stride=None"):
        DenseFeatures(vit(), grid=0)
