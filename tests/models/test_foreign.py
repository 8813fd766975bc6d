"""``model=checkpoint``: published files, files of the libraries' networks and of the user's own, runs of ours."""

import argparse
import sys
import types

import pytest
import timm
import torch
from safetensors.torch import save_file
from torch import nn

from transferbench import checkpoint
from transferbench.build import NETWORK_TARGETS, build
from transferbench.checkpoint import load, snapshot, unpretrained
from transferbench.errors import UserError
from transferbench.models.backbone import Backbone, timm_backbone
from transferbench.models.foreign import foreign_backbone
from transferbench.models.zoo import bare_network, entry_of
from transferbench.parts import build_parts

SMALL = {"_target_": "transferbench.models.backbone.timm_backbone", "name": "resnet10t", "channels": [4, 4, 4, 4]}
TARGET = {"_target_": "transferbench.checkpoint.backbone"}


def numbered(net, number=0.0):
    """Return tensors of the shapes of ``net``'s, each of one value of its own; on disk they take almost nothing."""
    state = net.state_dict()
    return {
        name: torch.tensor(number + i).to(value.dtype).expand(value.shape)
        for i, (name, value) in enumerate(state.items())
    }


@pytest.mark.parametrize(
    ("name", "within", "prefix", "others"),
    [
        ("dino_resnet50", (), "", ()),
        ("dino_resnet50", ("teacher",), "module.backbone.", ("module.head.last_layer.weight_v",)),
        ("mocov2_resnet50", ("state_dict",), "module.encoder_q.", ("module.encoder_q.fc.0.weight", "module.queue")),
        ("byol_resnet50", (), "", ("fc.weight", "fc.bias")),
        ("deit_small_distilled", ("model",), "", ("head.weight", "head_dist.bias")),
    ],
)
def test_a_published_file_becomes_a_backbone(tmp_path, name, within, prefix, others):
    entry = entry_of(name)
    with torch.device("meta"):
        net = bare_network(entry)
    wanted = numbered(net)
    content = {f"{prefix}{key}": value for key, value in wanted.items()} | {key: torch.ones(2) for key in others}
    for key in reversed(within):
        content = {key: content, "epoch": 800, "args": argparse.Namespace(lr=1)}
    torch.save(content, tmp_path / "x.pth")
    backbone = foreign_backbone(str(tmp_path / "x.pth"), name=name)
    loaded = (backbone.net.transformer if entry.takes == "class_token" else backbone.net).state_dict()
    assert set(loaded) == set(wanted)
    assert all(torch.equal(loaded[key], value) for key, value in wanted.items())
    assert (backbone.width, backbone.size) == (entry.width, 224)


@pytest.mark.parametrize("reference", ["timm/mobilenetv3_small_050", "torchvision/mobilenet_v3_small"])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_file_of_a_librarys_network_loads_with_or_without_its_classifier(tmp_path, reference, suffix):
    library, _, name = reference.partition("/")
    if library == "timm":
        whole = timm.create_model(name).eval()
    else:
        import torchvision

        whole = torchvision.models.get_model(name).eval()
    path = tmp_path / f"x.{suffix}"
    save_file(whole.state_dict(), path) if suffix == "safetensors" else torch.save(whole.state_dict(), path)
    backbone = foreign_backbone(str(path), name=reference).eval()
    own = backbone.net.state_dict()
    assert 0 < len(own) < len(whole.state_dict())
    assert all(torch.equal(value, whole.state_dict()[key]) for key, value in own.items())
    torch.save(own, tmp_path / "bare.pth")
    again = foreign_backbone(str(tmp_path / "bare.pth"), name=reference).eval()
    images = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.equal(again(images), backbone(images))


def test_a_network_of_the_users_own(tmp_path):
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten())
    torch.save({"weights": {f"core.{key}": value for key, value in net.state_dict().items()}}, tmp_path / "x.pt")
    mine = Backbone(nn.Sequential(nn.Conv2d(3, 4, 3), nn.Flatten()), 36)
    layout = {"within": ["weights"], "prefix": "core."}
    assert foreign_backbone(str(tmp_path / "x.pt"), network=mine, layout=layout) is mine
    assert torch.equal(mine.net[0].weight, net[0].weight)
    with pytest.raises(UserError, match=r"model\.network: expected a transferbench\.models\.backbone\.Backbone"):
        foreign_backbone(str(tmp_path / "x.pt"), network=net, layout=layout)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_finite_are_refused(tmp_path, value):
    state = timm.create_model("mobilenetv3_small_050").state_dict()
    state["conv_stem.weight"][0, 0, 0, 0] = state["blocks.0.0.bn1.running_var"][1] = value
    torch.save(state, tmp_path / "x.pth")
    told = r"x\.pth holds values that are not finite, in conv_stem\.weight and 1 more; get another copy of it$"
    with pytest.raises(UserError, match=told):
        foreign_backbone(str(tmp_path / "x.pth"), name="timm/mobilenetv3_small_050")


def test_what_network_it_is_must_be_said_once(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "x.pth")
    for said in ({}, {"name": "dino_resnet50", "network": Backbone(nn.Identity(), 1)}):
        with pytest.raises(UserError, match=r"say what network it is of, model\.name="):
            foreign_backbone(str(tmp_path / "x.pth"), **said)


@pytest.fixture
def run(tmp_path):
    """A run folder as training leaves it, and its backbone."""
    backbone = timm_backbone("resnet10t", channels=[4, 4, 4, 4])
    folder = tmp_path / "run" / "checkpoints"
    folder.mkdir(parents=True)
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    facts = snapshot({"model": SMALL, "head": None}, ["n1", "n2"], ["dog", "cat"])
    torch.save({"state_dict": state, "transferbench": facts, "global_step": 1}, folder / "step-000000001.ckpt")
    return folder.parent, backbone


@pytest.mark.parametrize("part", [".", "checkpoints/step-000000001.ckpt"])
def test_a_run_of_ours_goes_on_being_trained(run, part):
    folder, wanted = run
    backbone = build({**TARGET, "path": str(folder / part), "name": None, "network": None, "layout": None})
    assert all(torch.equal(value, wanted.state_dict()[key]) for key, value in backbone.state_dict().items())
    assert all(module.training for module in backbone.modules())  # Lightning leaves the mode as it finds it


def test_ours_needs_no_name(run):
    with pytest.raises(
        UserError, match=r"model\.layout: .* is of transferbench and brings its own network; leave it out"
    ):
        checkpoint.backbone(str(run[0]), layout="plain")
    with pytest.raises(UserError, match="no checkpoint there; name a run folder or a checkpoint file"):
        checkpoint.backbone(str(run[0].parent / "nowhere"))


def test_a_foreign_file_is_told_from_ours(tmp_path):
    torch.save({"args": argparse.Namespace(), "model": {"a": torch.ones(2)}}, tmp_path / "x.pth")
    with pytest.raises(UserError, match=r"x\.pth is no checkpoint of transferbench: say what network"):
        checkpoint.backbone(str(tmp_path / "x.pth"))
    (tmp_path / "x.pth").write_bytes(b"cut")
    with pytest.raises(UserError, match=r"x\.pth: cannot be read as weights"):
        checkpoint.backbone(str(tmp_path / "x.pth"))
    save_file({"a": torch.ones(2)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match=r"x\.safetensors is no checkpoint of transferbench: say what network"):
        checkpoint.backbone(str(tmp_path / "x.safetensors"))
    torch.save(torch.ones(3), tmp_path / "x.pth")
    with pytest.raises(UserError, match="has no tensors of a network"):
        checkpoint.backbone(str(tmp_path / "x.pth"), name="timm/resnet10t")


def saved_after(folder, config, backbone):
    """Write the checkpoint of a run with ``config``, and return its file."""
    state = {f"backbone.{key}": value for key, value in backbone.state_dict().items()}
    torch.save({"state_dict": state, "transferbench": snapshot(config, ["n1"], ["dog"])}, folder / "later.ckpt")
    return folder / "later.ckpt"


def test_a_run_that_began_with_a_run_opens_without_it(run, tmp_path):
    config = {"model": {**TARGET, "path": str(run[0])}, "head": None}
    parts = build_parts(config, {"classes": 2})
    later = saved_after(tmp_path, config, parts.backbone)
    (run[0] / "checkpoints" / "step-000000001.ckpt").unlink()
    network = load(later)
    images = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(network(images), parts.backbone.eval()(images))


def test_a_run_that_began_with_a_published_file_opens_without_it(tmp_path):
    for name in ("timm/mobilenetv3_small_050", "dino_resnet50"):
        net = timm.create_model(name.split("/")[1], num_classes=0) if "/" in name else bare_network(entry_of(name))
        torch.save(numbered(net), tmp_path / "x.pth")
        config = {"model": {**TARGET, "path": str(tmp_path / "x.pth"), "name": name}, "head": None}
        backbone = build_parts(config, {"classes": 1}).backbone
        later = saved_after(tmp_path, config, backbone)
        (tmp_path / "x.pth").unlink()
        opened = load(later).backbone
        assert opened.size == backbone.size
        assert all(torch.equal(value, backbone.state_dict()[key]) for key, value in opened.state_dict().items())


def test_the_untrained_network_of_a_checkpoint_is_another_of_its_architecture(run):
    node = unpretrained({"model": {**TARGET, "path": str(run[0])}})["model"]
    assert node == SMALL
    untrained = build(node, NETWORK_TARGETS)
    assert not torch.equal(untrained.net.conv1[0].weight, run[1].net.conv1[0].weight)


def test_a_network_of_the_users_own_opens_where_it_is_trusted(tmp_path, monkeypatch):
    module = types.ModuleType("my_nets")
    module.tiny = lambda width: Backbone(nn.Sequential(nn.Conv2d(3, width, 3), nn.Flatten()), width)
    monkeypatch.setitem(sys.modules, "my_nets", module)
    mine = {"_target_": "my_nets.tiny", "width": 4}
    torch.save(module.tiny(4).net.state_dict(), tmp_path / "x.pth")
    config = {"model": {**TARGET, "path": str(tmp_path / "x.pth"), "network": mine}, "head": None}
    backbone = build_parts(config, {"classes": 1}).backbone
    later = saved_after(tmp_path, config, backbone)
    with pytest.raises(UserError, match=r"'my_nets\.tiny' is refused"):
        load(later)
    assert torch.equal(load(later, trusted=["my_nets."]).backbone.net[0].weight, backbone.net[0].weight)
    again = checkpoint.backbone(str(later), trusted=["my_nets."])
    assert torch.equal(again.net[0].weight, backbone.net[0].weight)


def test_a_checkpoint_may_not_open_other_files():
    node = {**TARGET, "path": "/etc/passwd"}
    with pytest.raises(UserError, match=r"'transferbench\.checkpoint\.backbone' is refused"):
        build(node, NETWORK_TARGETS)
