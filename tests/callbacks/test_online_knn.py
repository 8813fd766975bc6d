import pytest

from transferbench.callbacks.checkpoints import Checkpoints
from transferbench.callbacks.online_knn import OnlineKnn
from transferbench.errors import UserError


@pytest.mark.parametrize("key", ["every_epochs", "images", "k"])
def test_nothing_below_one(key):
    with pytest.raises(UserError, match=rf"callbacks\.knn\.{key}=0"):
        OnlineKnn(**{key: 0})


@pytest.mark.parametrize("key", ["every_epochs", "every_steps", "keep"])
def test_no_checkpoints_below_one(key, tmp_path):
    with pytest.raises(UserError, match=rf"callbacks\.checkpoints\.{key}=0"):
        Checkpoints(tmp_path, {}, **{key: 0})
