"""NeuralDiff's streams: published sizes, loops over the formulas, and what each stream may know."""

from __future__ import annotations

import functools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.models.fields import Edit, with_features
from transferbench.models.neuraldiff import NeuralDiff, walled
from transferbench.models.streams import Appearance, StreamBranch, StreamValues, TimeCode
from transferbench.nerf.bundle import Rays
from transferbench.nerf.rendering import Rendered


def size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(**settings) -> NeuralDiff:
    torch.manual_seed(0)
    given = {"depth": 3, "width": 16, "skip": 1, "stream_depth": 2, "stream_width": 8, "samples": 6, "more": 5}
    return NeuralDiff(**{**given, "vocabulary": 30, "position_frequencies": 3, **settings})


def bundle(count: int = 7, time: int = 4, pose: Tensor | None = None) -> Rays:
    generator = torch.Generator().manual_seed(1)
    local = torch.cat([torch.rand(count, 2, generator=generator) - 0.5, -torch.ones(count, 1)], 1)
    pose = torch.eye(4) if pose is None else pose
    directions = local @ pose[:3, :3].T
    frames, times = torch.zeros(count, dtype=torch.int64), torch.full((count,), time)
    near, far = torch.full((count,), 1.0), torch.full((count,), 4.0)
    views = directions / directions.norm(dim=1, keepdim=True)
    return Rays(pose[:3, 3].expand(count, 3), directions, near, far, views, frames, times, local)


def turned() -> Tensor:
    pose = torch.eye(4)
    pose[:3, :3] = torch.tensor([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    pose[:3, 3] = torch.tensor([0.3, -2.0, 1.0])
    return pose


def test_the_published_size() -> None:
    model = NeuralDiff()
    assert size(model.coarse) == 595_844
    assert size(model.fine) == 772_494 == size(model.fine.static) + 2 * 85_253
    assert [size(model.fine.dynamic), size(model.fine.actor)] == [85_253, 85_253]
    assert [size(model.time), size(model.appearance), size(model)] == [357, 48_000, 1_416_695]
    assert model.fine.padding == 193
    static, moving = model.fine.static, (model.fine.dynamic, model.fine.actor)
    channels = [static.sigma, static.rgb, *(head for one in moving for head in (one.sigma, one.rgb, one.beta))]
    assert sum(layer.out_features for layer in channels) == 14
    wide = [place for place, layer in enumerate(static.trunk) if layer.in_features == 319]
    assert wide == [4], "the fifth layer reads the position again"


def test_a_network_that_is_narrower_than_the_encoding_needs_no_padding() -> None:
    model = small(position_frequencies=10)
    assert model.fine.padding == 0 and model.fine.actor.trunk[0].in_features == 63 + 17
    assert model.eval()(bundle(), None)[1].colour.shape == (7, 3)


def test_time_codes_are_of_low_rank() -> None:
    code = TimeCode(1000, 17)
    table = code(torch.arange(1000)).detach()
    assert table.shape == (1000, 17) and torch.linalg.matrix_rank(table.double()) <= 17
    waves = [f(2.0**k * 0.001001001001) for k in range(10) for f in (math.sin, math.cos)]
    expected = torch.tensor([0.001001001001, *waves]) @ code.matrix.detach()
    torch.testing.assert_close(table[500], expected, rtol=0, atol=1e-4)
    near, far = (table[501] - table[500]).norm(), (table[700] - table[500]).norm()
    assert near < far, "neighbours in time have similar codes"


def test_a_frame_that_is_held_out_looks_like_its_nearest_one() -> None:
    appearance = Appearance(12, 5)
    appearance.know(torch.tensor([9, 2, 6]))
    expected = [2, 2, 2, 2, 2, 6, 6, 6, 9, 9, 9, 9]  # 4 is as near to 2 as to 6
    assert torch.equal(appearance(torch.arange(12)), appearance.table.weight[expected])
    kept = Appearance(12, 5)
    kept.load_state_dict(appearance.state_dict())
    assert torch.equal(kept(torch.tensor([7])), appearance(torch.tensor([6])))


def test_the_appearance_reaches_the_static_colour_alone() -> None:
    model, rays = small().eval(), bundle(time=4)
    z = torch.linspace(1, 3, 4).expand(7, 4)
    before = model.streams(rays, z)
    with torch.no_grad():
        model.appearance.table.weight[4] += 1
    after = model.streams(rays, z)
    assert torch.equal(after.density, before.density) and torch.equal(after.beta, before.beta)
    assert torch.equal(after.colour[..., 1:, :], before.colour[..., 1:, :])
    assert not torch.allclose(after.colour[..., 0, :], before.colour[..., 0, :])
    model.know(torch.arange(30), torch.tensor([4, 20]))
    assert torch.equal(model.streams(bundle(time=6), z).colour[..., 0, :], after.colour[..., 0, :])


def test_time_reaches_all_but_what_stands_still() -> None:
    model, z = small().eval(), torch.linspace(1, 3, 4).expand(7, 4)
    model.know(torch.arange(30), torch.tensor([4]))  # one appearance
    first, second = model.streams(bundle(time=4), z), model.streams(bundle(time=25), z)
    assert torch.equal(first.density[..., 0], second.density[..., 0])
    assert torch.equal(first.colour[..., 0, :], second.colour[..., 0, :])
    for stream in (1, 2):
        assert not torch.allclose(first.density[..., stream], second.density[..., stream])
        assert not torch.allclose(first.colour[..., stream, :], second.colour[..., stream, :])
    a, b = model.eval()(bundle(time=4), None)[0], model(bundle(time=25), None)[0]
    assert torch.equal(a.colour, b.colour), "the coarse field knows no time"


def test_the_actor_goes_with_the_camera() -> None:
    model, z = small().eval(), torch.linspace(1, 3, 4).expand(7, 4)
    here, there = model.streams(bundle(), z), model.streams(bundle(pose=turned()), z)
    assert torch.equal(here.density[..., 2], there.density[..., 2])
    assert torch.equal(here.colour[..., 2, :], there.colour[..., 2, :])
    assert torch.equal(here.beta[..., 1], there.beta[..., 1])
    for stream in (0, 1):
        assert not torch.allclose(here.density[..., stream], there.density[..., stream])


def test_the_actor_reads_its_point_in_the_axes_of_the_camera() -> None:
    model, rays, z = small().eval(), bundle(pose=turned()), torch.linspace(1, 3, 4).expand(7, 4)
    points = rays.origins[:, None] + z[..., None] * rays.directions[:, None]
    local = (points - turned()[:3, 3]) @ turned()[:3, :3]
    code = model.time(rays.times)[:, None].expand(7, 4, -1)
    waves = [f(2.0**k * local) for k in range(3) for f in (torch.sin, torch.cos)]
    described = torch.cat([local, *waves, code, torch.zeros(7, 4, model.fine.padding)], -1)
    density, colour, beta, _ = model.fine.actor(described)
    found = model.streams(rays, z)
    torch.testing.assert_close(found.density[..., 2], density)
    torch.testing.assert_close(found.colour[..., 2, :], colour)
    torch.testing.assert_close(found.beta[..., 1], beta)


def test_what_moves_is_not_seen_from_a_direction() -> None:
    model, rays, z = small().eval(), bundle(), torch.linspace(1, 3, 4).expand(7, 4)
    other = model.streams(replace(rays, views=rays.views.flip(0)), z)
    found = model.streams(rays, z)
    assert torch.equal(found.colour[..., 1:, :], other.colour[..., 1:, :])
    assert not torch.allclose(found.colour[..., 0, :], other.colour[..., 0, :])


@pytest.mark.parametrize("faithful", [True, False])
def test_the_worked_example_through_the_model(faithful: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    model = small(faithful=faithful, last=100.0).eval()
    densities = torch.tensor([[[0.2, 0.3, 0.1], [1.0, 0.0, 1.0], [0.5, 0.25, 0.25]]])
    values = StreamValues(densities, torch.rand(1, 3, 3, 3), torch.rand(1, 3, 2))
    monkeypatch.setattr(model, "streams", lambda rays, z: values)
    direction, zero = torch.tensor([[0.0, 0.0, -1.0]]), torch.zeros(1, dtype=torch.int64)
    ray = Rays(torch.zeros(1, 3), direction, zero, zero, direction, zero, zero, direction)
    z = torch.tensor([[1.0, 2.0, 2.5]])
    last = [0.201897] * 3 if faithful else [0.100948, 0.050474, 0.050474]
    share = torch.tensor([[0.150396, 0.225594, 0.075198], [0.173458, 0, 0.173458], last])
    found = model.decomposed(ray, z, torch.zeros(3), apart=True)
    torch.testing.assert_close(found.presence[0], share.sum(0), rtol=0, atol=2e-6)
    assert found.opacity.item() == pytest.approx(1.403793 if faithful else 1.0, abs=3e-6)
    assert found.depth.item() == pytest.approx(float((share.sum(1) * z[0]).sum()), abs=1e-5)
    torch.testing.assert_close(found.colour[0], (share[..., None] * values.colour[0]).sum((0, 1)), rtol=0, atol=1e-5)
    beta = 0.03 + float((share[:, 1:] * values.beta[0]).sum())
    assert found.beta.item() == pytest.approx(beta, abs=1e-5)
    assert found.alone is not None
    clear = (1 - torch.tensor([0.225594, 0.0]), torch.tensor(1.0))  # the dynamic stream alone
    final = 1.0 if faithful else 0.25
    expected = 0.225594 * values.colour[0, 0, 1] + clear[0][0] * final * values.colour[0, 2, 1]
    torch.testing.assert_close(found.alone[0, 1], expected, rtol=0, atol=1e-5)


def test_training_ends_every_ray_on_a_wall_of_the_static_stream() -> None:
    torch.manual_seed(0)
    values = StreamValues(torch.rand(5, 4, 3), torch.rand(5, 4, 3, 3), torch.rand(5, 4, 2))
    closed = walled(values, 100.0)
    assert (closed.density[:, -1, 0] == 100).all()
    assert torch.equal(closed.density[:, :-1], values.density[:, :-1])
    assert torch.equal(closed.density[..., 1:], values.density[..., 1:])
    assert torch.equal(closed.colour[..., 1:, :], values.colour[..., 1:, :])
    assert torch.equal(closed.colour[:, :-1], values.colour[:, :-1])
    assert not torch.isclose(closed.colour[:, -1, 0], values.colour[:, -1, 0]).any()
    model = small(noise=0.0)
    with_wall = model.train()(bundle(), None)[1]
    torch.testing.assert_close(with_wall.opacity, torch.ones(7))
    assert (with_wall.densities[:, -1, 0] == 100).all()
    assert (small(wall=0.0).train()(bundle(), None)[1].densities[:, -1, 0] < 10).all()


def test_noise_is_in_the_coarse_densities_in_training() -> None:
    fields = small(noise=5.0), small(noise=0.0)
    noisy, plain = (
        [field.train().coarse(torch.zeros(1, 3), torch.ones(1, 3)).density for _ in "ab"] for field in fields
    )
    assert torch.equal(noisy[0], plain[0]), "the field itself has none"
    found = [field.eval()(bundle(), None)[0] for field in fields]
    assert torch.equal(found[0].colour, found[1].colour)
    torch.manual_seed(3)
    loud = fields[0].train()(bundle(400), None)[0]
    assert (loud.weights == 0).float().mean() > 0.2, "densities below zero are cut off behind the noise"
    torch.manual_seed(3)
    assert (fields[1].train()(bundle(400), None)[0].weights > 0).all()


def test_normalised_rays_begin_and_end_at_distances() -> None:
    rays = bundle()
    for normalised in (False, True):
        model = small(normalised=normalised).eval()
        _, z = model.looked(rays, None)
        length = rays.directions.norm(dim=1)
        reached = z * length[:, None] if normalised else z
        torch.testing.assert_close(reached[:, 0], rays.near)
        torch.testing.assert_close(reached[:, -1], rays.far)


def test_a_view_is_the_same_in_chunks_of_any_size() -> None:
    rays = bundle(11)
    whole, parts = (small(chunk=chunk).eval().render(rays, torch.ones(3)) for chunk in (100, 4))
    assert whole.densities is None and whole.alone is not None and whole.still is not None
    for a, b in zip(whole, parts):
        if a is not None:
            torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    coarse, fine = small().eval()(rays, torch.ones(3))
    assert isinstance(coarse, Rendered)
    torch.testing.assert_close(whole.colour, fine.colour)
    torch.testing.assert_close(whole.still, coarse.colour)
    assert whole.colour.requires_grad is False and fine.alone is None
    torch.testing.assert_close(whole.presence.sum(-1), whole.opacity)


def test_a_gradient_reaches_every_part() -> None:
    model = small().train()
    coarse, fine = model(bundle(64), None)
    loss = coarse.colour.square().mean() + fine.colour.square().mean() + fine.beta.mean() + fine.densities.mean()
    loss.backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.abs().sum() > 0, name
    rows = model.appearance.table.weight.grad
    assert rows is not None and rows.abs().sum(1).nonzero().flatten().tolist() == [4], "the frame of the rays alone"


def test_the_static_stream_is_a_field_of_its_own() -> None:
    static = small().fine.static.eval()
    points, views = torch.rand(5, 3), F.normalize(torch.rand(5, 3), dim=1)
    plain, given = static(points, views), static(points, views, appearance=torch.ones(5, 48))
    assert torch.equal(plain.density, static.density(points)) and torch.equal(plain.density, given.density)
    assert not torch.allclose(plain.colour, given.colour)


def test_an_unbounded_scene_is_scaled_for_all_streams() -> None:
    model = small().eval()
    model.place(torch.tensor([-2.0, 0, 0]), torch.tensor([6.0, 4, 4]), unbounded=True)
    rays, plain = bundle(), small().eval()
    z = torch.linspace(1, 3, 4).expand(7, 4)
    shifted = replace(rays, origins=(rays.origins - torch.tensor([2.0, 2, 2])) / 4)
    scaled = replace(shifted, directions=rays.directions / 4, local=rays.local / 4)
    for a, b in zip(model.streams(rays, z), plain.streams(scaled, z)):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"vocabulary": 0}, "vocabulary=0"),
        ({"wall": -1.0}, "wall=-1.0"),
        ({"stream_depth": 0}, "stream_depth=0"),
        ({"samples": 1}, "samples=1"),
    ],
)
def test_sizes_that_make_no_sense(settings: dict[str, float], words: str) -> None:
    with pytest.raises(UserError, match=words):
        small(**settings)


def test_frame_numbers_beyond_the_vocabulary() -> None:
    with pytest.raises(UserError, match=r"numbered from 3 to 30.*model\.vocabulary=31"):
        small().know(torch.tensor([3, 30]), torch.tensor([3]))


def featured(view_dependent: bool = True, **settings) -> NeuralDiff:
    return with_features(small(**settings), functools.partial(StreamBranch, channels=5), view_dependent)


def test_every_stream_has_a_branch_of_its_own() -> None:
    published = with_features(NeuralDiff(), functools.partial(StreamBranch, channels=64), True)
    assert size(published.fine.branch) == 24_768 and size(published) == 1_416_695 + 24_768
    assert featured(view_dependent=False).fine.branch.layers[0].in_features == 16, "the trunk is wider than the streams"


def test_features_are_composited_with_the_weights_of_their_streams() -> None:
    model, rays, z = featured().eval(), bundle(), torch.linspace(1, 3, 4).expand(7, 4)
    values, plain = model.streams(rays, z), small().eval().streams(rays, z)
    assert torch.equal(values.density, plain.density) and torch.equal(values.colour, plain.colour)
    found = model.decomposed(rays, z, None)
    total = values.density.sum(-1)
    expected = torch.zeros(7, 5)
    for ray in range(7):
        clear, norm = 1.0, float(rays.directions[ray].norm())
        for k in range(4):
            length = model.last if k == 3 else float(z[ray, k + 1] - z[ray, k])
            alpha = 1 - math.exp(-float(total[ray, k]) * length * norm)
            for stream in range(3):
                share = float(values.density[ray, k, stream] / total[ray, k])
                expected[ray] += clear * alpha * share * torch.tanh(values.features[ray, k, stream].detach())
            clear *= 1 - alpha
    torch.testing.assert_close(found.features.detach(), expected, rtol=1e-4, atol=1e-5)


def test_features_follow_time_only_where_something_moves() -> None:
    model, z = featured(view_dependent=False).eval(), torch.linspace(1, 3, 4).expand(7, 4)
    first, second = model.streams(bundle(time=4), z).features, model.streams(bundle(time=25), z).features
    assert torch.equal(first[..., 0, :], second[..., 0, :])
    assert not torch.allclose(first[..., 1, :], second[..., 1, :])
    with torch.no_grad():
        model.fine.branch.layers[2].weight.zero_()
    third = model.streams(bundle(time=4), z).features
    assert torch.equal(third[..., :2, :], first[..., :2, :]) and not torch.equal(third[..., 2, :], first[..., 2, :])


@pytest.mark.parametrize("shape", [True, False])
def test_features_reach_the_densities_only_where_they_may(shape: bool) -> None:
    model = featured()
    model.features_shape, model.fine.apart = shape, not shape
    model(bundle(), None)[1].features.square().sum().backward()
    assert model.fine.branch.layers[1].weight.grad is not None
    grad = model.fine.field.dynamic.sigma.weight.grad
    assert bool(grad is not None and grad.any()) is shape


def test_an_edit_takes_out_what_is_like_the_query_in_each_stream_alone() -> None:
    model, rays, z = featured().eval(), bundle(), torch.linspace(1, 3, 4).expand(7, 4)
    with torch.no_grad():
        for stream, layer in enumerate(model.fine.branch.layers):
            layer.weight.zero_()
            layer.bias.copy_(torch.eye(5)[stream])
    before = model.streams(rays, z).density
    model.fine.edit = Edit(torch.eye(5)[2], 1.0)
    after = model.streams(rays, z).density
    assert torch.equal(after[..., :2], before[..., :2]) and (after[..., 2] == 0).all() and (before[..., 2] > 0).all()
