"""Lightning itself: makes checkpoints, makes files of them, and takes files for its own.

    lightning_checkpoints.py save KIND DIR [odd]        saves DIR, from two processes; KIND is fabric-mp, fabric-fsdp, trainer-mp or
                                                        trainer-fsdp (mp: ModelParallelStrategy with FSDP2; fsdp: FSDPStrategy); odd: with
                                                        objects that only Python can make
    lightning_checkpoints.py same KIND DIR FILE [odd]   makes a file of DIR with Lightning's consolidate, and compares it with FILE
    lightning_checkpoints.py load KIND DIR FILE         loads DIR with Fabric in two processes; FILE has what is to be found
    lightning_checkpoints.py resume FILE                trains on from FILE in one process, with a Trainer

`tests/fixtures/torch/16_trainer_fsdp_w2` was made with `save` and Lightning's consolidate.
"""

import argparse
import os
import pathlib
import runpy
import sys
import tempfile
import warnings

warnings.filterwarnings("ignore")

import torch
import lightning
from lightning.fabric.strategies import FSDPStrategy as FabricFSDP
from lightning.fabric.strategies import ModelParallelStrategy as FabricMP
from lightning.pytorch.strategies import FSDPStrategy as TrainerFSDP
from lightning.pytorch.strategies import ModelParallelStrategy as TrainerMP

RANKS = 2
STEPS = 4


def layers():
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))


class Net(lightning.LightningModule):
    def __init__(self, width=3, odd=None):
        super().__init__()
        self.save_hyperparameters()
        self.net = layers()

    def configure_model(self):
        if isinstance(self.trainer.strategy, TrainerMP):
            sharded(self.net, self.device_mesh)

    def training_step(self, batch, number):
        return self.net(batch).square().mean()

    def train_dataloader(self):
        return torch.utils.data.DataLoader(torch.arange(64.0).reshape(16, 4) / 64, batch_size=2)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=0.01)
        return {"optimizer": optimizer, "lr_scheduler": torch.optim.lr_scheduler.StepLR(optimizer, 2)}

    def on_save_checkpoint(self, checkpoint):
        if self.hparams.odd is not None:
            shared = torch.arange(3.0)
            checkpoint["odd"] = {"tied": [shared, shared], "pairs": {"b": 1, 5: (2, {})}}


def sharded(module, mesh):
    from torch.distributed.fsdp import fully_shard

    fully_shard(module, mesh=mesh["data_parallel"])
    return module


def allow_fsdp_on_cpu():
    """It works there, but nobody expects it."""
    from lightning.fabric.connector import _Connector
    from lightning.pytorch.trainer.connectors.accelerator_connector import _AcceleratorConnector
    from torch.distributed.fsdp import FullyShardedDataParallel

    for connector in (_Connector, _AcceleratorConnector):
        connector._check_strategy_and_fallback = lambda self: None
    made = FullyShardedDataParallel.__init__
    cpu = {"device_id": torch.device("cpu")}
    FullyShardedDataParallel.__init__ = lambda self, *args, **kwargs: made(self, *args, **{**kwargs, **cpu})


def trainer(strategy, devices, epochs):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    folder = tempfile.mkdtemp() if devices == 1 else os.environ.setdefault("CHECKPOINTS", tempfile.mkdtemp())
    saver = lightning.pytorch.callbacks.ModelCheckpoint(dirpath=folder, save_top_k=0)
    return lightning.Trainer(
        accelerator="cpu", devices=devices, strategy=strategy, max_epochs=epochs, callbacks=[saver], **quiet
    )


def fabric(kind, trained):
    """Fabric with a model and an optimizer, before or after a step."""
    parallel = {"data_parallel_size": RANKS, "tensor_parallel_size": 1, "save_distributed_checkpoint": True}
    strategy = FabricMP(sharded, **parallel) if kind == "fabric-mp" else FabricFSDP(state_dict_type="sharded")
    made = lightning.Fabric(accelerator="cpu", devices=RANKS, strategy=strategy)
    made.launch()
    made.seed_everything(3 if trained else 4)
    model = made.setup_module(layers())
    optimizer = made.setup_optimizers(torch.optim.AdamW(model.parameters(), lr=0.01))
    made.backward(model(torch.ones(3, 4)).square().mean())
    optimizer.step()
    return made, model, optimizer


def save(kind, folder, odd=None):
    if kind.startswith("fabric"):
        made, model, optimizer = fabric(kind, True)
        made.save(folder, {"model": model, "optimizer": optimizer, "step": 7, "hparams": {"lr": 0.5, 3: [1, (2,), {}]}})
        return
    parallel = {"data_parallel_size": RANKS, "tensor_parallel_size": 1, "save_distributed_checkpoint": True}
    strategy = TrainerMP(**parallel) if kind == "trainer-mp" else TrainerFSDP(state_dict_type="sharded")
    training = trainer(strategy, RANKS, 1)
    training.fit(Net(odd=argparse.Namespace(path=pathlib.PurePosixPath("/a"), names=["b"]) if odd else None))
    training.save_checkpoint(folder)


def same(kind, folder, file, odd=None):
    if odd:
        # Lightning's consolidate does not ask.
        os.environ["TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"] = "1"
    with tempfile.TemporaryDirectory() as temporary:
        theirs = os.path.join(temporary, "theirs")
        if kind == "trainer-mp":
            by_hand(folder, theirs)
        else:
            part = "fabric" if kind.startswith("fabric") else "pytorch"
            sys.argv = ["consolidate", folder, "--output_file", theirs]
            runpy.run_module(f"lightning.{part}.utilities.consolidate_checkpoint", run_name="__main__")
        theirs, ours = (torch.load(path, weights_only=not odd) for path in (theirs, file))
    assert list(theirs) == list(ours), (list(theirs), list(ours))
    assert show(theirs) == show(ours), (show(theirs), show(ours))
    if odd:
        one, other = ours["odd"]["tied"]
        assert one.data_ptr() == other.data_ptr()
    print(f"Lightning {lightning.__version__}, PyTorch {torch.__version__}: {len(ours)} keys")


def by_hand(folder, file):
    """Lightning's consolidate looks for the model where FSDPStrategy puts it, and fails for what ModelParallelStrategy has saved."""
    from lightning.fabric.utilities.load import _load_distributed_checkpoint
    from lightning.pytorch.utilities.consolidate_checkpoint import _format_checkpoint

    state = _load_distributed_checkpoint(pathlib.Path(folder))
    state["model"] = state.pop("state_dict")
    torch.save(_format_checkpoint(state), file)


def show(value):
    """All of a value as text, with its types and, of dicts, the order."""
    if isinstance(value, torch.Tensor):
        return f"{value.dtype} {list(value.shape)} {value.flatten().tolist()}"
    name = type(value).__name__
    if isinstance(value, dict):
        return f"{name} {{{', '.join(f'{key!r}: {show(item)}' for key, item in value.items())}}}"
    if isinstance(value, (list, tuple)):
        return f"{name} [{', '.join(map(show, value))}]"
    if isinstance(value, argparse.Namespace):
        return f"{name} {show(vars(value))}"
    return f"{name} {value!r}"


def load(kind, folder, file):
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_state_dict

    made, model, optimizer = fabric(kind, False)
    state = {"model": model, "optimizer": optimizer, "step": 0}
    rest = made.load(folder, state)
    expected = torch.load(file, weights_only=True)
    assert state["step"] == expected["step"], state["step"]
    assert show(rest) == show({"hparams": expected["hparams"]}), rest
    options = StateDictOptions(full_state_dict=True)
    found = get_state_dict(model._forward_module, optimizer.optimizer, options=options)
    if made.global_rank == 0:
        model, optimizer = found
        assert show(model) == show(expected["model"]), (show(model), show(expected["model"]))
        wanted = expected["optimizer"]["state"]
        assert optimizer["state"].keys() == wanted.keys(), (optimizer["state"].keys(), wanted.keys())
        for name, state in wanted.items():
            assert show(dict(sorted(optimizer["state"][name].items()))) == show(dict(sorted(state.items()))), name
    made.barrier()
    # Otherwise nobody sees that this process was there.
    print(f"rank {made.global_rank} has loaded")


def resume(file):
    saved = torch.load(file, weights_only=True)

    class Resumed(Net):
        def on_train_start(self):
            assert self.trainer.global_step == STEPS and self.trainer.current_epoch == 1
            assert show(dict(self.state_dict())) == show(dict(saved["state_dict"]))
            optimizer, wanted = self.optimizers().optimizer.state_dict(), saved["optimizer_states"][0]
            names = wanted["param_groups"][0]["params"]
            assert len(names) == 4 and len(optimizer["state"]) == 4
            for number, name in enumerate(names):
                found = optimizer["state"][number]
                assert show(dict(sorted(found.items()))) == show(dict(sorted(wanted["state"][name].items()))), name
            assert optimizer["param_groups"][0]["lr"] == wanted["param_groups"][0]["lr"]
            assert self.lr_schedulers().state_dict() == saved["lr_schedulers"][0]
            self.has_started = True

    net = Resumed()
    training = trainer("auto", 1, 2)
    training.fit(net, ckpt_path=file)
    assert net.has_started and training.current_epoch == 2
    assert training.global_step == STEPS + 8, training.global_step
    assert show(dict(net.state_dict())) != show(dict(saved["state_dict"]))
    print("resumed")


if __name__ == "__main__":
    torch.set_num_threads(1)
    allow_fsdp_on_cpu()
    {"save": save, "same": same, "load": load, "resume": resume}[sys.argv[1]](*sys.argv[2:])
