"""The zoo's table against the published sizes, and its networks."""

import math
import warnings

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.foreign import classifier_of
from transferbench.models.layouts import Layout, layout_of, load_into, tables
from transferbench.models.zoo import ClassToken, bare_network, entries, entry_of, finished, zoo_backbone, zoo_rows

# parameters of the backbone, width of the features, pixels (ImageNet-CoG's models; counts without the classifier)
PUBLISHED = {
    "sup_resnet50": (23_508_032, 2048, 224),
    "sup_vgg19": (139_581_248, 4096, 224),
    "sup_inception-v3": (21_785_568, 2048, 299),
    "sup_resnet152": (58_143_808, 2048, 224),
    "deit_small": (21_665_664, 384, 224),
    "deit_small_distilled": (21_666_432, 384, 224),
    "deit_base_distilled_384": (86_092_032, 768, 384),
    "clip_resnet50": (38_316_896, 1024, 224),
}
RESNETS = [
    *("simclrv2", "byol", "mocov2", "mochi", "infomin", "swav", "dino", "obow", "barlow", "compress"),
    *("mixup", "manifold-mixup", "cutmix", "relabel", "advrobust", "mealv2", "mopro", "ssup", "swsup"),
]
YOURS = {
    "nat_m4": (0, 1536, 240),
    "efficientnet_b1": (6_513_184, 1280, 240),
    "efficientnet_b4": (17_548_616, 1792, 380),
    "t2tvit_t14": (21_100_000, 384, 224),
}
PUBLISHED |= {f"{name}_resnet50": (23_508_032, 2048, 224) for name in RESNETS}


def test_the_zoo_has_the_31_models_in_their_groups():
    assert set(entries()) == {*PUBLISHED, *YOURS}
    assert len(entries()) == 31
    groups = [entry.group for entry in entries().values()]
    sizes = {"baseline": 1, "architecture": 10, "self-supervision": 10, "regularisation": 6, "web": 4}
    assert {group: groups.count(group) for group in groups} == sizes


@pytest.mark.parametrize("name", [*PUBLISHED, *YOURS])
def test_the_table_has_the_published_sizes(name):
    entry = entry_of(name)
    assert (entry.params, entry.width, entry.size) == {**PUBLISHED, **YOURS}[name]
    for layout in entry.layouts:
        assert isinstance(layout_of(layout), Layout)
    assert (entry.network == "yours") == (name in YOURS)


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_network_has_the_size_of_the_table(name):
    entry = entry_of(name)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        backbone = zoo_backbone(name).train()
        features = backbone(torch.empty(2, 3, entry.size, entry.size))
    assert sum(p.numel() for p in backbone.parameters()) == entry.params
    assert tuple(features.shape) == (2, entry.width)
    assert backbone.width == entry.width
    assert (backbone.size, backbone.resize) == (entry.size, entry.size)


def full_size(name, modules):
    """Return the tensors of a published file of full size, on the meta device, by their published names."""
    if name == "clip_resnet50":
        tower = modules.ClipTower([3, 4, 6, 3], [64, 128, 256, 512], heads=32, output=1024, side=224)
        return {f"visual.{key}": value for key, value in tower.state_dict().items()}
    if name == "simclrv2_resnet50":
        return {"resnet": modules.Simclr([3, 4, 6, 3], [64, 128, 256, 512]).state_dict()}
    entry = entry_of(name)
    layout = layout_of(entry.layouts[0])
    net = bare_network(entry)
    own = dict(net.state_dict()) | {key: torch.empty(3) for key in classifier_of(entry.network, net)}
    content = {f"{layout.prefix}{key}": value for key, value in own.items()}
    for key in reversed(layout.within):
        content = {key: content}
    return content


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_published_file_of_full_size_fits(name, modules):
    entry = entry_of(name)
    with torch.device("meta"):
        net = bare_network(entry)
        content = full_size(name, modules)
        dropped = classifier_of(entry.network, net)
        assert load_into(net, content, "x", usual=entry.layouts, dropped=dropped) == entry.layouts[0]


def test_what_a_network_expects_of_its_pictures():
    with torch.device("cpu"):
        simclr, clip = finished(entry_of("simclrv2_resnet50"), Flat()), finished(entry_of("clip_resnet50"), Flat())
    images = torch.rand(2, 3, 4, 4)
    assert torch.equal(simclr(images), images.flatten(1))  # as they are, in [0, 1]
    assert clip.mean.flatten().tolist() == pytest.approx([0.48145466, 0.4578275, 0.40821073])
    assert clip.std.flatten().tolist() == pytest.approx([0.26862954, 0.26130258, 0.27577711])
    inception = finished(entry_of("sup_inception-v3"), Flat())
    assert inception(torch.ones(1, 3, 1, 1)).tolist() == [[1.0, 1.0, 1.0]]
    assert inception(torch.zeros(1, 3, 1, 1)).tolist() == [[-1.0, -1.0, -1.0]]


class Flat(nn.Module):
    def forward(self, images):
        return images.flatten(1)


def test_the_distilled_deit_gives_its_class_token(modules):
    """The forward pass of facebookresearch/deit, models.py, without the heads and the average of both tokens."""
    net = modules.randomised(modules.tiny_deit())
    images = torch.rand(2, 3, 32, 32)
    tokens = net.patch_embed.proj(images).flatten(2).transpose(1, 2)
    tokens = torch.cat([net.cls_token.expand(2, 1, -1), net.dist_token.expand(2, 1, -1), tokens], 1) + net.pos_embed
    for block in net.blocks:
        tokens = tokens + attention(block.norm1(tokens), block.attn)
        hidden = block.mlp.fc1(block.norm2(tokens))
        tokens = tokens + block.mlp.fc2(hidden / 2 * (1 + torch.erf(hidden / math.sqrt(2))))
    wanted = net.norm(tokens)
    torch.testing.assert_close(ClassToken(net)(images), wanted[:, 0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(net(images), wanted[:, :2].mean(1), rtol=1e-4, atol=1e-5)  # what timm would give


def attention(tokens, layer):
    batch, length, width = tokens.shape
    q, k, v = layer.qkv(tokens).reshape(batch, length, 3, layer.num_heads, -1).permute(2, 0, 3, 1, 4)
    weights = (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(-1)
    return layer.proj((weights @ v).transpose(1, 2).reshape(batch, length, width))


def test_vgg_gives_its_second_hidden_layer_after_relu():
    torch.manual_seed(0)
    with torch.device("meta"):
        net = bare_network(entry_of("sup_vgg19"))
    kinds = [type(layer).__name__ for layer in net.classifier]
    assert kinds == ["Linear", "ReLU", "Dropout", "Linear", "ReLU", "Dropout", "Identity"]


def test_byol_is_padded_as_where_it_was_trained_and_the_others_are_not():
    with torch.device("meta"):
        padding = {name: bare_network(entry_of(name)).conv1.padding for name in ("byol_resnet50", "swav_resnet50")}
    assert padding == {"byol_resnet50": (0, 0), "swav_resnet50": (3, 3)}


@pytest.mark.parametrize("name", YOURS)
def test_a_network_that_no_library_has_is_the_users_to_name(name):
    with pytest.raises(
        UserError, match=rf"model\.name={name}: neither timm nor torchvision .* model\.network={{_target_"
    ):
        zoo_backbone(name)


def test_names_are_of_the_zoo_or_of_a_library():
    assert zoo_backbone("timm/resnet10t").width == 512
    assert zoo_backbone("torchvision/resnet18").width == 512
    with pytest.raises(UserError, match=r"the zoo has no such model; did you mean .*dino_resnet50"):
        zoo_backbone("dino_resnet5")
    with pytest.raises(UserError, match="expected a model of the zoo, timm/NAME or torchvision/NAME"):
        zoo_backbone("keras/resnet50")


def test_the_rows_are_plain_and_alike():
    rows = zoo_rows()
    assert len(rows) == 31
    assert {tuple(row) for row in rows} == {tuple(rows[0])}
    assert all(isinstance(cell, (str, int)) for row in rows for cell in row.values())
    by_name = {row["model"]: row for row in rows}
    assert by_name["nat_m4"]["parameters"] == "not known"
    assert by_name["obow_resnet50"]["layout"] == "obow or obow_extractor"
    assert by_name["clip_resnet50"]["mean"] == "0.481 0.458 0.408"
    assert by_name["swav_resnet50"]["mean"] == "ImageNet"
    assert all(row["weights"] for row in rows)


def test_the_file_holds_nothing_that_nobody_reads():
    assert set(tables()) == {"layouts", "defaults", "models"}
    used = {layout for entry in entries().values() for layout in entry.layouts}
    for_other_files = {"dino_student", "dino_teacher_vit", "sequential", "vissl"}
    assert set(tables()["layouts"]) - used == for_other_files
