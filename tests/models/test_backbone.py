import pytest
import torch
import torchvision
from torch import nn
from torchvision.transforms.v2 import functional as tv

from transferbench.errors import UserError
from transferbench.models.backbone import Backbone, resnet_small, timm_backbone, torchvision_backbone


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


class Flat(nn.Module):
    def forward(self, images):
        return images.flatten(1)


def test_uint8_images_are_normalised_like_torchvision_does():
    images = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    mean, std = (0.1, 0.2, 0.3), (0.5, 0.6, 0.7)
    wanted = tv.normalize(images / 255, list(mean), list(std)).flatten(1)
    backbone = Backbone(Flat(), 60, mean, std)
    torch.testing.assert_close(backbone(images), wanted)
    torch.testing.assert_close(backbone(images / 255), wanted)


def test_mean_and_std_travel_with_the_weights():
    backbone = Backbone(nn.Linear(2, 2), 2, (0.1, 0.2, 0.3), (0.5, 0.6, 0.7))
    assert set(backbone.state_dict()) == {"mean", "std", "net.weight", "net.bias"}
    other = Backbone(nn.Linear(2, 2), 2)
    other.load_state_dict(backbone.state_dict())
    assert other.mean.flatten().tolist() == pytest.approx([0.1, 0.2, 0.3])


@pytest.mark.parametrize("std", [(0.5, 0.5), (0.5, 0.0, 0.5)])
def test_impossible_std_is_refused(std):
    with pytest.raises(UserError, match="three numbers"):
        Backbone(Flat(), 1, (0.5, 0.5, 0.5), std)


@pytest.mark.parametrize(
    ("name", "width", "count"),
    [
        ("resnet50", 2048, 23_508_032),  # published sizes less the classifier's
        ("resnet18", 512, 11_176_512),
        ("vit_b_16", 768, 86_567_656 - 769_000),
        ("convnext_tiny", 768, 28_589_128 - 769_000),
        ("vgg11", 4096, 132_863_336 - 4_097_000),
    ],
)
def test_torchvision_models_lose_their_classifier_only(name, width, count):
    with torch.device("meta"):
        backbone = torchvision_backbone(name).eval()
    assert backbone.width == width
    assert parameters(backbone) == count
    assert backbone(torch.empty(1, 3, 224, 224, device="meta")).shape == (1, width)


def test_random_initialisation_is_torchvisions():
    torch.manual_seed(3)
    wanted = torchvision.models.resnet18().state_dict()
    torch.manual_seed(3)
    ours = torchvision_backbone("resnet18").net.state_dict()
    assert set(wanted) - set(ours) == {"fc.weight", "fc.bias"}
    assert all(torch.equal(value, wanted[key]) for key, value in ours.items())


def test_unknown_names_get_the_closest_ones():
    with pytest.raises(UserError, match=r"did you mean.*resnet50"):
        torchvision_backbone("resnet-50")
    with pytest.raises(UserError, match=r"did you mean.*vit_small_patch16_224"):
        timm_backbone("vit_small_16_224")
    with pytest.raises(UserError, match="IMAGENET1K_V1"):
        torchvision_backbone("resnet18", weights="IMAGENET")


def test_timm_refuses_what_it_cannot_build():
    with pytest.raises(UserError, match="channels"):
        timm_backbone("vit_tiny_patch16_224", channels=[1, 2, 3, 4])
    with pytest.raises(UserError, match="nonsense"):
        timm_backbone("resnet18.nonsense")


def test_pretrained_weights_that_cannot_be_had_are_one_sentence(monkeypatch):
    import timm

    def offline(*_args, **_kwargs):
        raise OSError("We cannot connect to the hub\nand more")

    monkeypatch.setattr(timm, "create_model", offline)
    with pytest.raises(UserError, match=r"resnet18 \(pretrained=True\): We cannot connect to the hub$"):
        timm_backbone("resnet18", pretrained=True)


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "eva02_tiny_patch14_224", "mobilenetv3_small_050"])
def test_timm_models_take_crops_of_several_sizes(name):
    backbone = timm_backbone(name).eval()
    for side in (96, 24):
        assert backbone(torch.zeros(1, 3, side, side, dtype=torch.uint8)).shape == (1, backbone.width)


def test_timm_resnet_takes_widths_and_depths():
    backbone = timm_backbone("resnet18", channels=[8, 16, 24, 32], layers=[1, 1, 1, 1])
    assert backbone.width == 32
    assert backbone(torch.zeros(2, 3, 48, 48)).shape == (2, 32)
    assert "net.conv1.weight" in backbone.state_dict()


def test_timm_brings_its_own_mean():
    assert timm_backbone("vit_tiny_patch16_224").mean.flatten().tolist() == [0.5, 0.5, 0.5]
    assert timm_backbone("vit_tiny_patch16_224", mean=[0.1, 0.2, 0.3]).mean[0].item() == pytest.approx(0.1)


@pytest.mark.parametrize(("stride", "side"), [(1, 4), (2, 2), (4, 1)])
def test_small_resnet_halves_three_times_after_its_stem(stride, side):
    backbone = resnet_small(8, layers=(1, 1, 1, 1), stem_stride=stride)
    images = torch.zeros(2, 3, 32, 32)
    assert backbone.width == 64
    assert backbone.net.stages(backbone.net.stem(images)).shape == (2, 64, side, side)
    assert backbone(images).shape == (2, 64)


def test_small_resnet_is_resnet18_but_for_the_stem():
    wide, published = resnet_small(64, layers=(2, 2, 2, 2)), torchvision_backbone("resnet18")
    assert parameters(wide) == parameters(published) - 3 * 64 * (49 - 9)
    shapes = [tuple(p.shape) for p in wide.net.stages.parameters()]
    assert shapes == [tuple(p.shape) for p in list(published.net.parameters())[3:]]


def test_an_unknown_stem_is_refused():
    with pytest.raises(UserError, match="stem_stride=3"):
        resnet_small(stem_stride=3)
