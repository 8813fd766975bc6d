import copy
import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from transferbench.errors import UserError
from transferbench.heads.class_means import ClassMeans
from transferbench.heads.cosine import cosine_logits


def filled(features, labels, classes):
    memory = ClassMeans(len(features[0]), classes, len(labels))
    memory.push(torch.tensor(features), torch.tensor(labels))
    return memory


def test_worked_example_with_an_absent_class():
    memory = filled([[1.0, 0.0], [0.0, 2.0], [3.0, 4.0], [-1.0, 0.0]], [0, 1, 1, 2], classes=4)
    prototypes = F.normalize(memory.class_sums(), dim=1)
    torch.testing.assert_close(prototypes, torch.tensor([[1, 0], [0.447214, 0.894427], [-1, 0], [0, 0]]))
    logits = memory(torch.tensor([[1.0, 1.0]]))
    assert logits[0].tolist() == pytest.approx([7.071068, 9.486833, -7.071068, 0], abs=1e-5)
    losses = [F.cross_entropy(logits, torch.tensor([c])).item() for c in range(4)]
    assert losses == pytest.approx([2.501369, 0.085604, 16.643503, 9.572436], abs=1e-5)


def test_long_features_weigh_more_than_they_would_if_normalised():
    memory = filled([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8], [-1.0, 0.0]], [0, 1, 1, 2], classes=4)
    loss = F.cross_entropy(memory(torch.tensor([[1.0, 1.0]])), torch.tensor([1])).item()
    assert loss == pytest.approx(0.143027, abs=1e-5)


def test_class_sums_against_a_loop():
    torch.manual_seed(0)
    memory = ClassMeans(5, 7, 50)
    sums = torch.zeros(7, 5)
    for feature, label in zip(memory.features, memory.labels):
        sums[label] += feature
    torch.testing.assert_close(memory.class_sums(), sums)


def test_the_memory_starts_as_noise_with_random_labels():
    torch.manual_seed(0)
    memory = ClassMeans(256, 1000)
    assert memory.features.shape == (8192, 256)
    assert memory.features.norm(dim=1).mean().item() == pytest.approx(16, rel=0.01)
    assert memory.labels.min() == 0 and memory.labels.max() == 999
    assert set(memory.state_dict()) == {"features", "labels", "pointer"}
    counts = torch.bincount(memory.labels, minlength=1000)
    assert counts.float().var().item() == pytest.approx(8.192, rel=0.15)  # of a Poisson count


def test_initial_loss():
    """Ln 1000 + (1/256) / (2 * 0.1^2): the log-mean-exp of 1000 cosines of random directions."""
    torch.manual_seed(0)
    memory = ClassMeans(256, 1000)
    loss = F.cross_entropy(memory(torch.randn(512, 256)), torch.randint(1000, (512,))).item()
    assert loss == pytest.approx(math.log(1000) + 0.5 / 256 / 0.01, abs=0.05)
    assert loss == pytest.approx(7.10, abs=0.05)


def test_first_in_first_out_drops_what_does_not_fit():
    memory = ClassMeans(1, 10, size=5)
    start = memory.features.clone()
    memory.push(torch.tensor([[1.0], [2.0], [3.0]]), torch.tensor([1, 2, 3]))
    assert memory.features.flatten().tolist() == [1, 2, 3, *start[3:, 0].tolist()]
    assert int(memory.pointer) == 3
    memory.push(torch.tensor([[4.0], [5.0], [6.0]]), torch.tensor([4, 5, 6]))
    assert memory.features.flatten().tolist() == [1, 2, 3, 4, 5]
    assert memory.labels.tolist() == [1, 2, 3, 4, 5]
    assert int(memory.pointer) == 0
    memory.push(torch.arange(7.0)[:, None], torch.arange(7))
    assert memory.labels.tolist() == [0, 1, 2, 3, 4]
    assert int(memory.pointer) == 0


def test_the_pointer_returns_when_batches_divide_the_memory():
    memory = ClassMeans(2, 3, size=6)
    pointers = []
    for _ in range(4):
        memory.push(torch.randn(2, 2), torch.tensor([0, 1]))
        pointers.append(int(memory.pointer))
    assert pointers == [2, 4, 0, 2]


def test_a_loaded_memory_goes_on_at_its_pointer():
    memory, loaded = ClassMeans(1, 9, size=5), nn.Sequential(ClassMeans(1, 9, size=5))
    for labels in ([1, 2, 3], [4]):
        memory.push(torch.zeros(len(labels), 1), torch.tensor(labels))
    loaded.load_state_dict({f"0.{key}": value for key, value in memory.state_dict().items()})
    copied = copy.deepcopy(loaded)
    for one in (memory, loaded[0], copied[0]):
        one.push(torch.zeros(1, 1), torch.tensor([5]))
        assert one.labels.tolist() == [1, 2, 3, 4, 5]
        assert int(one.pointer) == 0


def test_gradient_reaches_the_embedding_and_nothing_else():
    memory = ClassMeans(4, 3, size=8)
    x = torch.randn(5, 4, requires_grad=True)
    loss = F.cross_entropy(memory(x), torch.tensor([0, 1, 2, 0, 1]))
    memory.push(x.detach(), torch.tensor([0, 1, 2, 0, 1]))  # the memory changes between forward and backward
    loss.backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert not list(memory.parameters())
    assert not memory.features.requires_grad


def test_half_precision_features_are_stored_in_float32():
    memory = ClassMeans(2, 3, size=4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        memory.push(torch.ones(4, 2, dtype=torch.bfloat16), torch.tensor([0, 1, 2, 2]))
        logits = memory(torch.ones(1, 2, dtype=torch.bfloat16))
    assert memory.features.dtype == logits.dtype == torch.float32
    torch.testing.assert_close(logits, torch.full((1, 3), 10.0))


def test_cosine_logits_against_a_loop():
    torch.manual_seed(0)
    x, w = torch.randn(4, 6), torch.randn(3, 6)
    wanted = torch.tensor([[F.cosine_similarity(a, b, dim=0) / 0.07 for b in w] for a in x])
    torch.testing.assert_close(cosine_logits(x, w, 0.07), wanted)


@pytest.mark.parametrize(("wrong", "message"), [({"size": 0}, "head.memory=0"), ({"temperature": 0}, "temperature=0")])
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        ClassMeans(2, 2, **wrong)
