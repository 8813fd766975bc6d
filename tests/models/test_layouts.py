"""Each published layout loads, whole or not at all. The names come from the publishers' code, not from the loader."""

import copy

import pytest
import torch
import torchvision
from torchvision.models.resnet import Bottleneck

from transferbench.errors import UserError
from transferbench.models.layouts import Layout, fit, layout_of, layouts, load_into

BN = "weight bias running_mean running_var num_batches_tracked"
BLOCK = f"""
    conv1.weight bn1.({BN}) conv2.weight bn2.({BN}) conv3.weight bn3.({BN})
    downsample.0.weight downsample.1.({BN})
"""
RESNET = f"conv1.weight bn1.({BN}) layer1.0.({BLOCK}) layer2.0.({BLOCK}) layer3.0.({BLOCK}) layer4.0.({BLOCK})"
LINEAR = "weight bias"
VIT_BLOCK = (
    f"norm1.({LINEAR}) attn.(qkv.({LINEAR}) proj.({LINEAR})) norm2.({LINEAR}) mlp.(fc1.({LINEAR}) fc2.({LINEAR}))"
)
DEIT = f"""
    cls_token pos_embed dist_token patch_embed.proj.({LINEAR}) blocks.0.({VIT_BLOCK}) blocks.1.({VIT_BLOCK})
    norm.({LINEAR})
"""
FC = f"fc.({LINEAR})"
MLP = f"0.({LINEAR}) 2.({LINEAR})"
MOCO = f"module.encoder_k.conv1.weight module.encoder_k.bn1.({BN}) module.queue module.queue_ptr"

# layout: where the tensors are; the names of the network's tensors; the names of others beside them
PUBLISHED = {
    "plain": ((), RESNET, FC),
    "deit": (("model",), DEIT, f"head.({LINEAR}) head_dist.({LINEAR})"),
    "state_dict": (("state_dict",), RESNET, FC),
    "state_dict_ema": (("state_dict_ema",), RESNET, FC),
    "data_parallel": (("state_dict",), f"module.({RESNET})", f"module.{FC}"),
    "mealv2": ((), f"module.({RESNET})", f"module.{FC}"),
    "compress": (("model",), f"module.({RESNET})", f"module.{FC}"),
    "moco": (("state_dict",), f"module.encoder_q.({RESNET})", f"module.encoder_q.fc.({MLP}) {MOCO}"),
    "mopro": (
        ("state_dict",),
        f"module.encoder_q.({RESNET})",
        f"module.encoder_q.(classifier.({LINEAR}) fc1.({LINEAR}) fc2.({LINEAR})) {MOCO} module.prototypes",
    ),
    "infomin": (("model",), f"module.encoder.({RESNET})", f"module.head.({MLP}) module.head_jig.fc1.({LINEAR})"),
    "swav": (
        (),
        f"module.({RESNET})",
        f"module.projection_head.(0.({LINEAR}) 1.({BN}) 3.({LINEAR})) module.prototypes.weight",
    ),
    "dino_teacher": (
        ("teacher",),
        f"module.backbone.({RESNET})",
        f"module.head.(mlp.({MLP} 4.({LINEAR})) last_layer.weight_g last_layer.weight_v)",
    ),
    "dino_teacher_vit": (("teacher",), f"backbone.({DEIT})", "head.last_layer.weight_g head.last_layer.weight_v"),
    "dino_student": (("student",), f"module.backbone.({RESNET})", "module.head.last_layer.weight_v"),
    "barlow_twins": (
        ("model",),
        f"module.backbone.({RESNET})",
        f"module.projector.(0.weight 1.({BN}) 3.weight 4.({BN}) 6.weight) module.bn.(running_mean running_var)",
    ),
    "obow": (("network",), RESNET, FC),
    "robustness": (
        ("model",),
        f"module.model.({RESNET})",
        f"""
            module.model.{FC} module.normalizer.(new_mean new_std) module.attacker.normalize.(new_mean new_std)
            module.attacker.model.({RESNET} {FC})
        """,
    ),
    "vissl": (("classy_state_dict", "base_model", "model", "trunk"), f"_feature_blocks.({RESNET})", ""),
}
CLASSIFIERS = {"fc.weight", "fc.bias", "head.weight", "head.bias", "head_dist.weight", "head_dist.bias"}
RENAMED = ("simclr_v2", "clip", "obow_extractor", "sequential")
TEXT_TOWER = f"""
    transformer.resblocks.0.(attn.in_proj_weight ln_1.({LINEAR})) token_embedding.weight ln_final.({LINEAR})
    positional_embedding text_projection logit_scale input_resolution context_length vocab_size
"""


def names(listing, prefix=""):
    """Return the names of a listing; ``a.(b c)`` stands for ``a.b`` and ``a.c``."""
    found, word, depth, inner = [], "", 0, ""
    for letter in f"{listing} ":
        if letter == ")":
            depth -= 1
            if depth == 0:
                found += names(inner, prefix + word)
                word = inner = ""
                continue
        if depth:
            inner += letter
        elif letter == "(":
            pass
        elif letter.isspace():
            found += [prefix + word] if word else []
            word = ""
        else:
            word += letter
        depth += letter == "("
    return found


def nested(path, tensors, others=None):
    for key in reversed(path):
        tensors = {key: tensors, "epoch": 200, **(others or {})}
    return tensors


@pytest.fixture(scope="module")
def small(modules):
    """The network of a layout: with values, and where these are in the published file."""

    def made(layout):
        make = {"deit": modules.tiny_deit, "dino_teacher_vit": modules.tiny_deit, "clip": modules.tiny_clip}
        return make.get(layout, modules.tiny_resnet)()

    return made


@pytest.fixture(scope="module")
def file_of(small, modules):
    """Return ``(content, mapping with the tensors, forward of the published network)``; no two calls share tensors."""

    def renamed(layout):
        if layout == "clip":
            whole = modules.randomised(modules.ClipTower([1] * 4, [8, 16, 24, 32], heads=2, output=24, side=64))
            tensors = {f"visual.{name}": value for name, value in whole.state_dict().items()}
            tensors |= {name: torch.ones(3) for name in names(TEXT_TOWER)}
            return tensors, tensors, whole
        if layout == "simclr_v2":
            whole = modules.randomised(modules.Simclr([1] * 4, [4, 6, 8, 10]))
            tensors = whole.state_dict()
            return {"resnet": tensors, "head": {"layers.0.weight": torch.ones(2, 2)}}, tensors, whole
        whole = modules.randomised(modules.tiny_resnet())
        made = modules.ObowExtractor(whole) if layout == "obow_extractor" else modules.Sequentially(whole)
        tensors = dict(made.state_dict())
        return ({"network": tensors, "meters": None} if layout == "obow_extractor" else tensors), tensors, whole

    def file(layout):
        if layout in RENAMED:
            return renamed(layout)
        path, network, others = PUBLISHED[layout]
        whole = modules.randomised(small(layout))
        listing = {"resnet": names(RESNET), "deit": names(DEIT)}["deit" if "token" in network else "resnet"]
        state = copy.deepcopy(whole.state_dict())
        tensors = {published: state[own] for published, own in zip(names(network), listing, strict=True)}
        tensors |= {name: torch.ones(5) for name in names(others)}
        return nested(path, tensors, {"optimizer": {"state": {0: torch.ones(2)}}}), tensors, whole

    return file


def pictures(layout):
    side = 64 if layout == "clip" else 32
    return torch.rand(2, 3, side, side)


def test_the_listings_are_those_of_the_libraries(modules):
    assert names("a b.(c d.(e f)) g") == ["a", "b.c", "b.d.e", "b.d.f", "g"]
    assert set(names(RESNET)) == set(modules.tiny_resnet().state_dict())
    with torch.device("meta"):
        whole = torchvision.models.ResNet(Bottleneck, [1, 1, 1, 1])
    assert set(names(f"{RESNET} {FC}")) == set(whole.state_dict())
    assert set(names(DEIT)) == set(modules.tiny_deit().state_dict())


def test_every_layout_has_a_published_listing():
    assert set(layouts()) == {*PUBLISHED, *RENAMED}


@pytest.mark.parametrize("layout", [*PUBLISHED, *RENAMED])
def test_a_layout_loads_what_its_publisher_saved(layout, small, file_of):
    content, _, whole = file_of(layout)
    net = small(layout)
    assert load_into(net, content, "x.pth", given=layout, dropped=CLASSIFIERS) == layout
    images = pictures(layout)
    with torch.no_grad():
        torch.testing.assert_close(net(images), whole(images), rtol=1e-4, atol=1e-5)
    assert net(images).std() > 1e-3


@pytest.mark.parametrize("layout", [*PUBLISHED, *RENAMED])
def test_a_layout_is_found_out(layout, small, file_of):
    content, _, _ = file_of(layout)
    assert load_into(small(layout), content, "x.pth", dropped=CLASSIFIERS) == layout


@pytest.mark.parametrize("given", [True, False], ids=["given", "found out"])
@pytest.mark.parametrize("layout", [*PUBLISHED, *RENAMED])
def test_one_tensor_amiss_fails(layout, given, small, file_of):
    """A missing, an additional and a transposed tensor are each named, and nothing is loaded."""
    content, tensors, _ = file_of(layout)
    net = small(layout)
    before = copy.deepcopy(net.state_dict())
    chosen = {"given": layout} if given else {"usual": [layout]}
    own = layout_of(layout).names(tensors)
    victim = next(n for n, v in tensors.items() if own.get(n) in before and v.ndim > 1 and v.shape[0] != v.shape[1])
    whole = tensors.pop(victim)
    with pytest.raises(UserError, match=rf"x.pth does not fit .*layout {layout}, .*: missing: {own[victim]}$"):
        load_into(net, content, "x.pth", **chosen, dropped=CLASSIFIERS)
    tensors[victim] = whole.transpose(0, 1)
    told = rf"another shape: {own[victim]} is \({whole.shape[1]}, {whole.shape[0]}"
    with pytest.raises(UserError, match=told):
        load_into(net, content, "x.pth", **chosen, dropped=CLASSIFIERS)
    tensors[victim] = whole
    tensors["layer5.0.conv1.weight"] = torch.ones(3)
    with pytest.raises(UserError, match=r": unexpected: layer5\.0\.conv1\.weight$"):
        load_into(net, content, "x.pth", **chosen, dropped=CLASSIFIERS)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_files_from_before_batches_were_counted_load(small, file_of):
    content, tensors, whole = file_of("plain")
    counters = [name for name in tensors if name.endswith("num_batches_tracked")]
    first = counters.pop()
    for name in counters:
        del tensors[name]
    with pytest.raises(UserError, match=r"missing: bn1\.num_batches_tracked"):
        load_into(small("plain"), content, "x.pth", usual=["plain"], dropped=CLASSIFIERS)
    del tensors[first]
    net = small("plain")
    assert load_into(net, content, "x.pth", dropped=CLASSIFIERS) == "plain"
    with torch.no_grad():
        assert torch.equal(net(pictures("plain")[:1] * 0 + 1), whole(torch.ones(1, 3, 32, 32)))


def test_a_classifier_is_left_out_where_the_library_has_one_and_is_an_error_elsewhere(small, file_of):
    content, _, _ = file_of("plain")
    with pytest.raises(UserError, match=r"unexpected: fc\.weight, fc\.bias$"):
        load_into(small("plain"), content, "x.pth", usual=["plain"])


def test_half_precision_becomes_what_the_network_has_and_integers_are_refused(small, file_of):
    content, tensors, whole = file_of("plain")
    for name, value in tensors.items():
        tensors[name] = value.half() if value.is_floating_point() else value
    net = small("plain")
    load_into(net, content, "x.pth", dropped=CLASSIFIERS)
    torch.testing.assert_close(net.conv1.weight, whole.conv1.weight, rtol=1e-3, atol=1e-3)
    assert net.conv1.weight.dtype == torch.float32
    tensors["conv1.weight"] = tensors["conv1.weight"].to(torch.int8)
    with pytest.raises(UserError, match=r"conv1\.weight is torch\.int8, not torch\.float32"):
        load_into(net, content, "x.pth", usual=["plain"], dropped=CLASSIFIERS)


def test_of_two_networks_in_a_file_the_usual_one_is_taken_or_one_must_be_chosen(small, file_of):
    teacher, _, whole = file_of("dino_teacher")
    both = {**teacher, "student": file_of("dino_student")[0]["student"]}
    net = small("dino_teacher")
    assert load_into(net, both, "x.pth", usual=["plain", "dino_teacher"], dropped=CLASSIFIERS) == "dino_teacher"
    assert torch.equal(net.conv1.weight, whole.conv1.weight)
    with pytest.raises(UserError, match=r"choose model.layout=, one of dino_teacher, dino_student$"):
        load_into(net, both, "x.pth", dropped=CLASSIFIERS)


def test_a_layout_of_the_users_own(small, file_of):
    _, tensors, whole = file_of("plain")
    for name in ("fc.weight", "fc.bias"):
        del tensors[name]
    mine = {"net": {f"enc.{name.replace('layer', 'stage')}": value for name, value in tensors.items()}}
    mine["net"]["projector.weight"] = torch.ones(2)
    described = {"within": ["net"], "prefix": "enc.", "beside": ["projector."], "rename": [["^stage", "layer"]]}
    net = small("plain")
    assert load_into(net, mine, "x.pth", given=described) == "given"
    assert torch.equal(net.layer1[0].conv1.weight, whole.layer1[0].conv1.weight)
    with pytest.raises(UserError, match=r"unexpected: projector\.weight$"):
        load_into(net, mine, "x.pth", given={**described, "beside": ["proj"]})


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"within": "model"}, r"^model\.layout\.within=model: expected a list, such as within: \[model\]$"),
        ({"rename": [["a"]]}, r"^model\.layout\.rename: \['a'\] \(not enough values .*; expected a regular expression"),
        ({"rename": [["(", ""]]}, r"^model\.layout\.rename: \['\(', ''\] \(missing \), unterminated"),
        ({"rename": [["a", r"\1"]]}, r"invalid group reference"),
        ({"rename": [["a", 1]]}, r"^model\.layout\.rename: \['a', 1\]"),
        ({"rename": ["ab c"]}, r"^model\.layout\.rename: ab c \(too many"),
    ],
)
def test_a_layout_with_values_of_another_kind_is_refused(given, told):
    with pytest.raises(UserError, match=told):
        layout_of(given)


def test_what_is_wrong_with_a_layout_is_said():
    with pytest.raises(UserError, match=r"model\.layout=mocco: expected one of plain, deit"):
        layout_of("mocco")
    with pytest.raises(UserError, match=r"model\.layout: prefixes unknown; expected"):
        layout_of({"prefixes": "module."})


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ({"epoch": 3, "model": {"note": "none"}}, "no layout finds any; at its top it has epoch, model"),
        ([1, 2], "no layout finds any; at its top it has list"),
        ({}, "at its top it has nothing"),
    ],
)
def test_a_file_without_tensors_is_said(small, content, told):
    with pytest.raises(UserError, match=told):
        load_into(small("plain"), content, "x.pth")


def test_a_layout_that_looks_elsewhere_is_said(small, file_of):
    content, _, _ = file_of("plain")
    with pytest.raises(UserError, match=r"layout moco looks for them in state_dict; at its top it has conv1\.weight"):
        load_into(small("plain"), content, "x.pth", given="moco")


def test_two_tensors_of_one_name_do_not_pass_for_one(small, file_of):
    content, tensors, _ = file_of("plain")
    tensors["stem.weight"] = tensors["conv1.weight"].clone()
    twice = Layout("mine", rename=[["^stem", "conv1"]])
    found = fit(small("plain"), content, twice, CLASSIFIERS)
    assert found is not None
    assert found.unexpected == ["stem.weight"]
