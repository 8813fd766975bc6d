"""TorchScript archives give the tensors that torch gives, and their code never runs."""

import pickle
import resource
import warnings
import zipfile

import pytest
import torch
from torch import nn

from transferbench.errors import UserError
from transferbench.models.torchscript import is_torchscript
from transferbench.models.weights import read_weights


class Model(nn.Module):
    """Nested modules, a shared one, a view, attributes that are no tensors, half precision."""

    def __init__(self):
        super().__init__()
        self.visual = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        self.shared = self.visual[0]
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.sizes = [1, 2]
        self.depth = 3
        self.register_buffer("view", torch.arange(12.0).view(3, 4).t()[1:])
        self.register_buffer("count", torch.tensor(5))

    def forward(self, images):
        return self.visual(images) * self.scale + self.view.sum() + self.depth


@pytest.fixture(params=["scripted", "traced", "half"])
def archive(request, tmp_path):
    model = Model().eval()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if request.param == "traced":
            made = torch.jit.trace(model, torch.rand(1, 3, 8, 8))
        else:
            made = torch.jit.script(model.half() if request.param == "half" else model)
        torch.jit.save(made, tmp_path / "RN50.pt")
    return tmp_path / "RN50.pt", made.state_dict()


def test_the_tensors_are_torchs(archive):
    path, wanted = archive
    assert is_torchscript(path)
    found = read_weights(path)
    assert set(found) == set(wanted)
    for name, value in wanted.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name], value)


def rewritten(path, content):
    """Return a copy of an archive with another ``data.pkl``."""
    copy = path.with_name("copy.pt")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            new.writestr(name, content if name.endswith("/data.pkl") else old.read(name))
    return copy


def test_an_archive_that_names_code_is_refused(archive, tmp_path):
    class Hostile:
        def __reduce__(self):
            return (eval, (f"open({str(tmp_path / 'executed')!r}, 'w')",))

    path = rewritten(archive[0], pickle.dumps({"x": Hostile()}, protocol=2))
    with pytest.raises(
        UserError, match=r"copy\.pt: refused, for it names (__builtin__|builtins)\.eval, which could run code"
    ):
        read_weights(path)
    assert not (tmp_path / "executed").exists()


def test_a_tensor_beyond_its_data_is_refused(archive):
    with zipfile.ZipFile(archive[0]) as old:
        (name,) = [one for one in old.namelist() if one.endswith("/data.pkl")]
        content = old.read(name)
    # the shape (4, 3, 3, 3) of the convolution as pickled bytes: MARK, four BININT1, TUPLE
    shape = b"(K\x04K\x03K\x03K\x03t"
    assert shape in content
    path = rewritten(archive[0], content.replace(shape, b"(K\xffK\x03K\x03K\x03t"))
    with pytest.raises(UserError, match="cannot be read as weights"):
        read_weights(path)


def test_an_archive_without_a_module_is_said(archive):
    with pytest.raises(UserError, match="the archive holds no module"):
        read_weights(rewritten(archive[0], pickle.dumps([1, 2], protocol=2)))


def test_other_archives_are_told_apart(tmp_path):
    torch.save({"a": torch.ones(2)}, tmp_path / "plain.pt")
    assert not is_torchscript(tmp_path / "plain.pt")
    (tmp_path / "text.pt").write_text("no archive")
    assert not is_torchscript(tmp_path / "text.pt")


def test_a_number_in_the_memo_reserves_no_memory(archive, tmp_path):
    """The unpickler in C makes a memo as long as the largest number; the limit would end it."""
    path, state = archive
    hostile = tmp_path / "hostile.pt"
    with zipfile.ZipFile(path) as source, zipfile.ZipFile(hostile, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name.count("/") == 1 and name.endswith("/data.pkl"):
                content = pickle.PROTO + b"\x02" + pickle.NONE + pickle.LONG_BINPUT + b"\xff\xff\xff\x3f" + content[2:]
            target.writestr(name, content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert read_weights(hostile).keys() == state.keys()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**20  # KiB; the memo in C would take 8 GiB
