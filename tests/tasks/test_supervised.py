import copy
import functools

import pytest
import torch
from lightning import Callback, LightningDataModule, LightningModule, Trainer
from torch import nn
from torch.utils.data import DataLoader, Dataset, DistributedSampler

from transferbench.errors import RunFailed, UserError
from transferbench.heads.classification import class_mean_head, cosine_head, linear_head, running_mean_head
from transferbench.models.backbone import Backbone
from transferbench.optim.momentum import MomentumEncoder
from transferbench.tasks import pretraining
from transferbench.tasks.batch_norm import JointBatchNorms
from transferbench.tasks.sharded import FullySharded
from transferbench.tasks.supervised import Supervised, stack_by_size

CLASSES = 5


class Crops(Dataset):
    """``count`` images of one global and two local crops of random pixels."""

    def __init__(self, count: int, sizes=(16, 8, 8), order=None) -> None:
        generator = torch.Generator().manual_seed(0)
        self.crops = [torch.randint(0, 256, (count, 3, s, s), dtype=torch.uint8, generator=generator) for s in sizes]
        self.labels = torch.arange(count) % CLASSES
        self.order = list(range(count)) if order is None else order

    def __len__(self):
        return len(self.order)

    def __getitem__(self, index):
        return [crop[self.order[index]] for crop in self.crops], self.labels[self.order[index]]


def loader(count=12, batch_size=4, **settings):
    return DataLoader(Crops(count, **settings), batch_size=batch_size)


def network(norm=nn.BatchNorm2d):
    layers = nn.Conv2d(3, 8, 3, 2), norm(8), nn.ReLU(), nn.Conv2d(8, 8, 3, 2), norm(8), nn.ReLU()
    return Backbone(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten()), 8)


small = {"width": 8, "classes": CLASSES, "hidden_width": 8, "bottleneck": 6}
HEADS = {
    "linear": lambda: linear_head(width=8, classes=CLASSES),
    "cosine": lambda: cosine_head(**small, hidden_layers=1),
    "class means": lambda: class_mean_head(**small, hidden_layers=1, memory=20, momentum=0.9),
    "running means": lambda: running_mean_head(**small),
}


def task(head="class means", norm=nn.BatchNorm2d, **settings):
    torch.manual_seed(0)
    sgd = functools.partial(torch.optim.SGD, momentum=0.9)
    return Supervised(network(norm), HEADS[head](), sgd, **{"warmup_epochs": 1, **settings})


def trainer(tmp_path=None, **settings):
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    more = {"enable_model_summary": False, "accelerator": "cpu", "num_sanity_val_steps": 0, "log_every_n_steps": 1}
    return Trainer(**{**quiet, **more, "max_epochs": 1, "default_root_dir": tmp_path, **settings})


class Spy(Callback):
    """Remember the logged metrics of every batch and the learning rate of every optimiser step."""

    def __init__(self) -> None:
        self.rates: list[float] = []
        self.metrics: list[dict[str, float]] = []

    def on_before_optimizer_step(self, trainer, pl_module, optimizer):
        self.rates.append(optimizer.param_groups[0]["lr"])

    def on_train_batch_end(self, trainer, *_):
        self.metrics.append({key: value.item() for key, value in trainer.callback_metrics.items()})


def test_stack_by_size_groups_consecutive_widths_only():
    crops = [torch.full((2, 3, s, s), float(i)) for i, s in enumerate((8, 8, 4, 4, 4, 8))]
    stacks = list(stack_by_size(crops))
    assert [len(stack) for stack in stacks] == [4, 6, 2]
    assert torch.cat([stack[:, 0, 0, 0] for stack in stacks]).tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


@pytest.mark.parametrize("head", list(HEADS))
def test_loss_falls_on_one_repeated_batch(head):
    made, spy = task(head, lr=6.4, warmup_epochs=0.1), Spy()
    trainer(callbacks=[spy]).fit(made, loader(count=8, batch_size=8, order=list(range(8)) * 40))
    losses = [m["train/loss"] for m in spy.metrics]
    assert losses[-1] < 0.6 * losses[4]


def test_loss_is_the_mean_over_crops_of_equal_weight():
    made, spy = task("cosine"), Spy()
    twin, batch = copy.deepcopy(made).train(), next(iter(loader()))
    by_hand = twin.head.projector(torch.cat([twin.backbone(batch[0][0]), twin.backbone(torch.cat(batch[0][1:]))]))
    losses = [nn.functional.cross_entropy(twin.head.classifier(rows), batch[1]) for rows in by_hand.split(4)]
    trainer(max_steps=1, callbacks=[spy]).fit(made, loader())
    assert len(losses) == 3
    assert spy.metrics[0]["train/loss"] == pytest.approx(torch.stack(losses).mean().item(), rel=1e-5)


def test_one_step_in_the_order_of_the_method():
    """Old prototypes; then the average, of the weights as they were; then the memory; then the optimiser."""
    made, batch = task(lr=64, warmup_epochs=0), next(iter(loader()))
    made.momentum_encoder.update(network(), HEADS["class means"]().projector)  # let the two differ
    old, spy = copy.deepcopy(made).train(), Spy()
    trainer(max_steps=1, callbacks=[spy]).fit(made, loader())

    crops, labels = batch
    logits = old.head(torch.cat([old.backbone(crops[0]), old.backbone(torch.cat(crops[1:]))]))
    loss = nn.functional.cross_entropy(logits, labels.repeat(3))
    assert spy.metrics[0]["train/loss"] == pytest.approx(loss.item(), rel=1e-5)

    old.momentum_encoder.update(old.backbone, old.head.projector)
    for ours, wanted in zip(made.momentum_encoder.parameters(), old.momentum_encoder.parameters()):
        torch.testing.assert_close(ours, wanted)
    assert not torch.allclose(made.backbone.net[0].weight, old.backbone.net[0].weight)  # the optimiser moved it since
    pushed = old.momentum_encoder(crops[0])
    torch.testing.assert_close(made.head.classifier.features[:4], pushed)
    assert torch.equal(made.head.classifier.features[4:], old.head.classifier.features[4:])
    assert made.head.classifier.labels[:4].tolist() == labels.tolist()
    assert int(made.head.classifier.pointer) == 4


def test_batch_statistics_are_tracked_once_a_resolution():
    made = task()
    trainer(max_steps=1).fit(made, loader())
    counts = {key: int(value) for key, value in made.state_dict().items() if key.endswith("num_batches_tracked")}
    assert counts == {
        "backbone.net.1.num_batches_tracked": 2,
        "backbone.net.4.num_batches_tracked": 2,
        "head.projector.layers.0.1.num_batches_tracked": 1,
        "momentum_encoder.backbone.net.1.num_batches_tracked": 1,
        "momentum_encoder.backbone.net.4.num_batches_tracked": 1,
        "momentum_encoder.projector.layers.0.1.num_batches_tracked": 1,
    }


def test_nothing_but_the_network_is_trained():
    made = task()
    trainer(max_steps=2).fit(made, loader())
    assert all(parameter.grad is None for parameter in made.momentum_encoder.parameters())
    assert {key.partition(".")[0] for key in made.state_dict()} == {"backbone", "head", "momentum_encoder"}
    trained = {id(p) for group in made.trainer.optimizers[0].param_groups for p in group["params"]}
    assert trained == {id(p) for part in (made.backbone, made.head) for p in part.parameters()}


def test_evaluation_leaves_memory_and_statistics_alone():
    made = task()
    before = copy.deepcopy(made.state_dict())
    trainer().validate(made, loader(), verbose=False)
    assert all(torch.equal(value, before[key]) for key, value in made.state_dict().items())


def test_running_means_are_fed_with_the_networks_own_first_crop():
    made, batch = task("running means"), next(iter(loader()))
    assert made.momentum_encoder is None
    old = copy.deepcopy(made).train()
    trainer(max_steps=1).fit(made, loader())
    torch.testing.assert_close(made.head.classifier.means[:4], old.backbone(batch[0][0]).detach())
    assert made.head.classifier.counts.tolist() == [1, 1, 1, 1, 0]


def test_validation_counts_every_labelled_image_once():
    made = task("linear").eval()
    data = Crops(10, sizes=(16,))
    data.labels[[2, 7]] = -1
    (scores,) = trainer().validate(made, DataLoader(data, batch_size=4), verbose=False)
    known = data.labels >= 0
    logits = made(data.crops[0])[known]
    assert scores["val/top1"] == pytest.approx((logits.argmax(1) == data.labels[known]).float().mean().item())
    assert scores["val/loss"] == pytest.approx(nn.functional.cross_entropy(logits, data.labels[known]).item(), rel=1e-5)


TOY = [
    0,
    0.05,
    0.1,
    0.1,
    0.09698466,
    0.08830234,
    0.07500025,
    0.05868282,
    0.04131818,
    0.02500075,
    0.01169866,
    0.00301634,
]


def test_learning_rate_of_every_step():
    spy = Spy()
    trainer(max_epochs=4, callbacks=[spy]).fit(task(lr=0.1 * 256 / 4), loader())
    assert spy.rates == pytest.approx(TOY, abs=5e-9)
    assert [m["train/lr"] for m in spy.metrics] == pytest.approx(TOY, abs=5e-9)
    assert spy.rates[0] == 0.0


def test_accumulated_batches_are_one_step():
    """12 steps of two batches: rates by step, the average once a step, the memory and statistics at every batch."""
    spy, updates = Spy(), []
    made = task(lr=0.1 * 256 / 8)
    update = made.momentum_encoder.update
    made.momentum_encoder.update = lambda *parts: (updates.append(made.trainer.global_step), update(*parts))
    trainer(max_epochs=4, accumulate_grad_batches=2, callbacks=[spy]).fit(made, loader(count=20))  # 5 batches, 3 steps
    assert spy.rates == pytest.approx(TOY, abs=5e-9)
    assert updates == list(range(12))
    assert int(made.head.classifier.pointer) == 0  # 20 images an epoch fill the memory of 20
    assert int(made.momentum_encoder.backbone.net[1].num_batches_tracked) == 20


def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(tmp_path):
    whole = task(lr=6.4)
    trainer(max_epochs=4).fit(whole, loader())
    first = task(lr=6.4)
    stopped = trainer(tmp_path, max_epochs=4, callbacks=[StopAfter(2)])
    stopped.fit(first, loader())
    stopped.save_checkpoint(tmp_path / "two.ckpt")
    second, spy = task(lr=6.4), Spy()
    trainer(max_epochs=4, callbacks=[spy]).fit(second, loader(), ckpt_path=tmp_path / "two.ckpt", weights_only=True)
    assert spy.rates == pytest.approx(TOY[6:], abs=5e-9)
    for (key, ours), wanted in zip(second.state_dict().items(), whole.state_dict().values()):
        assert torch.equal(ours, wanted), key


class StopAfter(Callback):
    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def on_train_epoch_end(self, trainer, pl_module):
        trainer.should_stop = trainer.current_epoch + 1 == self.epochs


def test_divergence_stops_before_the_optimiser_step():
    made = task("linear")
    with torch.no_grad():
        made.head.classifier.bias[0] = float("nan")
    before = made.backbone.net[0].weight.clone()
    with pytest.raises(RunFailed, match=r"the loss became nan at step 0 \(epoch 0, lr 0\).*lower scale.lr"):
        trainer().fit(made, loader())
    assert torch.equal(made.backbone.net[0].weight, before)


class Spoil(Callback):
    """Let the loss, or the weights alone, be no number from one step on."""

    def __init__(self, step: int, weights: bool = False) -> None:
        self.step, self.weights = step, weights

    def on_train_batch_start(self, trainer, pl_module, batch, batch_idx):
        if trainer.global_step == self.step and not self.weights:
            pl_module.head.classifier.bias.data[0] = float("nan")

    def on_before_zero_grad(self, trainer, pl_module, optimizer):
        if trainer.global_step == self.step and self.weights:
            pl_module.backbone.net[0].weight.data[0] = float("inf")


class Save(Callback):
    """Save after a step."""

    def __init__(self, path, step: int) -> None:
        self.path, self.step = path, step

    def on_train_batch_end(self, trainer, *_):
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)


@pytest.mark.parametrize(("saved", "seen"), [(None, 5), (3, 3), (99, 12)])
def test_losses_that_are_looked_at_later(saved, seen, tmp_path, monkeypatch):
    """As on a GPU: every so many steps, before a checkpoint is written and at the end of an epoch."""
    monkeypatch.setitem(pretraining.LOOK_EVERY, "cpu", 5 if seen == 5 else 99)
    path, made, spy = tmp_path / "spoilt.ckpt", task("linear", lr=0.1, warmup_epochs=0), Spy()
    callbacks = [spy, Spoil(2), *([] if saved is None else [Save(path, saved)])]
    with pytest.raises(RunFailed, match=r"the loss became nan at step 2 \(epoch 0"):
        trainer(callbacks=callbacks).fit(made, loader(count=48))
    assert len(spy.rates) == (4 if seen == 5 else seen)  # in the fifth step before the optimiser
    assert not path.exists()


def test_no_checkpoint_with_spoilt_weights_is_written(tmp_path):
    """Another device's loss, or a gradient alone, may be what is no number."""
    saved = [Save(tmp_path / f"{step}.ckpt", step) for step in (1, 2)]
    with pytest.raises(RunFailed, match=r"backbone.net.0.weight is not finite after step 1: .*lower scale.lr"):
        trainer(callbacks=[Spoil(1, weights=True), *saved]).fit(task("linear"), loader())
    assert [file.name for file in tmp_path.iterdir()] == ["1.ckpt"]


def test_a_run_can_be_measured_in_steps():
    spy = Spy()
    trainer(max_epochs=-1, max_steps=12, callbacks=[spy]).fit(task(lr=6.4), loader())
    assert spy.rates == pytest.approx(TOY, abs=5e-9)


def test_a_run_without_an_end_is_refused():
    with pytest.raises(UserError, match="max_epochs"):
        trainer(max_epochs=-1).fit(task(), loader())


def test_a_run_shorter_than_its_warmup_rises_to_the_peak(caplog):
    spy = Spy()
    trainer(callbacks=[spy]).fit(task(lr=6.4, warmup_epochs=2), loader())
    assert spy.rates == pytest.approx([0, 0.05, 0.1])
    assert "as short as its warm-up of 2 epochs" in caplog.text


def test_channels_last_changes_the_layout_and_not_the_result():
    rows, columns = task("linear", channels_last=False).eval(), task("linear").eval()
    images = next(iter(loader()))[0][0]
    assert columns.backbone.net[0].weight.is_contiguous(memory_format=torch.channels_last)
    assert not rows.backbone.net[0].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(rows(images), columns(images))


def test_a_compiled_run_leaves_the_names_and_results_of_an_uncompiled_one(monkeypatch):
    compiled = functools.partialmethod(nn.Module.compile, backend="eager")  # traced, but no compiler is called
    monkeypatch.setattr(nn.Module, "compile", compiled)
    plain, traced = task(), task(compile=True)
    for made in (plain, traced):
        trainer(max_steps=2).fit(made, loader())
    assert traced.backbone._compiled_call_impl is not None
    assert list(plain.state_dict()) == list(traced.state_dict())
    for (key, value), other in zip(plain.state_dict().items(), traced.state_dict().values()):
        torch.testing.assert_close(value, other, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("head", ["class means", "running means"])
def test_bfloat16_autocast_trains(head):
    made, spy = task(head), Spy()
    trainer(max_steps=3, precision="bf16-mixed", callbacks=[spy]).fit(made, loader())
    assert all(value.dtype in (torch.float32, torch.int64) for value in made.state_dict().values())
    assert len(spy.rates) == 3


class Shares(LightningDataModule):
    """Rank r takes images r, r + 2, r + 4, ..."""

    def train_dataloader(self):
        data = Crops(24)
        return DataLoader(data, batch_size=4, sampler=DistributedSampler(data, shuffle=False))


@pytest.fixture
def one_thread():
    """A forked process has none of its parent's OpenMP threads and would wait for them for ever."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


STRATEGIES = {
    "ddp": lambda: "ddp_fork",
    "fsdp": lambda: FullySharded(smallest=50, start_method="fork"),
}


def in_two_processes(strategy, made, tmp_path=None, **settings):
    """Fit ``made`` in two processes with joint batch norms; return the trainer."""
    two = {"strategy": STRATEGIES[strategy](), "devices": 2, "use_distributed_sampler": False, "sync_batchnorm": True}
    fit = {key: settings.pop(key) for key in ("ckpt_path", "weights_only") if key in settings}
    made_trainer = trainer(tmp_path, **two, plugins=[JointBatchNorms()], **settings)
    made_trainer.fit(made, datamodule=Shares(), **fit)
    return made_trainer


def joint_batches():
    """Yield what ``Shares`` gives to two ranks, as one batch of eight."""
    joint = [8 * step + image for step in range(3) for image in (0, 2, 4, 6, 1, 3, 5, 7)]
    return loader(count=24, batch_size=8, order=joint)


@pytest.fixture
def forked(one_thread, monkeypatch):
    """Lightning sets the port; it is to be another one the next time."""
    monkeypatch.setenv("MASTER_PORT", "")
    monkeypatch.delenv("MASTER_PORT")


@pytest.mark.parametrize("head", ["class means", "running means"])
@pytest.mark.parametrize("strategy", list(STRATEGIES))
def test_two_processes_equal_one_with_the_joint_batch(head, strategy, forked):
    """In weights, and so in loss and gradients, in memory, and in the statistics of every batch norm."""
    ours, wanted = (task(head, lr=0.32, warmup_epochs=0) for _ in range(2))
    in_two_processes(strategy, ours)
    trainer().fit(wanted, joint_batches())
    assert not torch.equal(ours.backbone.net[0].weight.float(), task(head).backbone.net[0].weight)
    assert type(ours.backbone.net[1]) is nn.BatchNorm2d
    for (key, value), other in zip(ours.state_dict().items(), wanted.state_dict().values()):
        torch.testing.assert_close(value, other, msg=lambda text, key=key: f"{key}: {text}")


def test_the_momentum_encoder_starts_as_a_copy():
    made: LightningModule = task()
    assert isinstance(made.momentum_encoder, MomentumEncoder)
    for slow, fast in zip(made.momentum_encoder.backbone.parameters(), made.backbone.parameters()):
        assert torch.equal(slow, fast) and slow is not fast
