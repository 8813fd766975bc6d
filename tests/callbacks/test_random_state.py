import random

import numpy as np
import torch

from transferbench.callbacks.random_state import capture, restore


def draws():
    return random.random(), random.gauss(0, 1), np.random.rand(), np.random.randn(), torch.rand(2).tolist()  # noqa: NPY002


def test_every_generator_goes_on_where_it_was(tmp_path):
    draws()  # leaves a second normal number in the caches of random and numpy
    torch.save(capture(), tmp_path / "state.pt")
    expected = draws()
    draws()
    restore(torch.load(tmp_path / "state.pt", weights_only=True))
    assert draws() == expected
