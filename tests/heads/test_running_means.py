import pytest
import torch

from transferbench.errors import UserError
from transferbench.heads.running_means import RunningMeans


def test_logits_are_negative_squared_distances():
    torch.manual_seed(0)
    head = RunningMeans(5, 3, temperature=2.0)
    head.means.copy_(torch.randn(3, 5))
    x = torch.randn(4, 5)
    torch.testing.assert_close(head(x), -(torch.cdist(x, head.means) ** 2) / 2)


def test_without_decay_the_means_are_those_of_everything_seen():
    torch.manual_seed(0)
    head = RunningMeans(3, 4, decay=None)
    x, y = torch.randn(40, 3), torch.randint(3, (40,))
    for start in range(0, 40, 8):
        head.push(x[start : start + 8], y[start : start + 8])
    for c in range(3):
        torch.testing.assert_close(head.means[c], x[y == c].mean(0))
    assert head.means[3].tolist() == [0, 0, 0]
    assert head.counts.tolist() == [*torch.bincount(y).tolist(), 0]


def test_decayed_means_against_the_recursion():
    torch.manual_seed(0)
    head = RunningMeans(2, 3, decay=0.8)
    wanted: dict[int, torch.Tensor] = {}
    for _ in range(6):
        x, y = torch.randn(5, 2), torch.randint(3, (5,))
        head.push(x, y)
        for c in set(y.tolist()):
            batch = x[y == c].mean(0)
            wanted[c] = 0.8 * wanted[c] + 0.2 * batch if c in wanted else batch
    for c, mean in wanted.items():
        torch.testing.assert_close(head.means[c], mean)


def test_gradient_reaches_the_embedding_after_a_push():
    head = RunningMeans(2, 3)
    head.push(torch.randn(6, 2), torch.tensor([0, 1, 2, 0, 1, 2]))
    x = torch.randn(3, 2, requires_grad=True)
    loss = torch.nn.functional.cross_entropy(head(x), torch.tensor([0, 1, 2]))
    head.push(x.detach(), torch.tensor([0, 1, 2]))
    loss.backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
    assert set(head.state_dict()) == {"means", "counts"}


@pytest.mark.parametrize(("wrong", "message"), [({"decay": 1.0}, "decay=1.0"), ({"temperature": 0}, "temperature=0")])
def test_impossible_settings_are_refused(wrong, message):
    with pytest.raises(UserError, match=message):
        RunningMeans(2, 2, **wrong)
