"""Times what PyTorch does to plan a save by many ranks and a load, all ranks in one process: beside `dcpctl bench plan --json`.

usage: torch_plan.py [--ranks R] [--tensors T] [--explicit] [--load-ranks N]

The tensors are those of `dcpctl bench plan`. They are DTensors over a mesh of a process group that only pretends to be one; with --explicit,
objects that declare chunks of their own (`__create_write_items__`). Their memory is never touched. Prints one JSON object: seconds by phase.
"""
import argparse
import json
import pickle
import resource
import tempfile
import time
import warnings
from contextlib import contextmanager

warnings.filterwarnings("ignore")

import torch
import torch.distributed as dist
from torch.distributed.checkpoint import DefaultSavePlanner, FileSystemReader, FileSystemWriter
from torch.distributed.checkpoint._nested_dict import flatten_state_dict
from torch.distributed.checkpoint.default_planner import create_default_local_load_plan
from torch.distributed.checkpoint.filesystem import _StorageInfo
from torch.distributed.checkpoint.metadata import ChunkStorageMetadata, MetadataIndex, TensorProperties
from torch.distributed.checkpoint.planner import TensorWriteData, WriteItem, WriteItemType
from torch.distributed.checkpoint.storage import WriteResult
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.placement_types import _StridedShard
from torch.testing._internal.distributed.fake_pg import FakeStore


class Explicit:
    """Chunks of a tensor that a rank has."""

    def __init__(self, dtype, size, boxes):
        self.properties = TensorProperties(dtype=dtype)
        self.whole = torch.Size(size)
        self.boxes = boxes

    def __create_chunk_list__(self):
        return [ChunkStorageMetadata(torch.Size(offsets), torch.Size(sizes)) for offsets, sizes in self.boxes]

    def __create_write_items__(self, fqn, _):
        return [
            WriteItem(
                index=MetadataIndex(fqn, chunk.offsets),
                type=WriteItemType.SHARD,
                tensor_data=TensorWriteData(chunk=chunk, properties=self.properties, size=self.whole),
            )
            for chunk in self.__create_chunk_list__()
        ]


class Model:
    """As `Model` of `dcpctl bench plan`."""

    def __init__(self, ranks, tensors, explicit):
        self.ranks, self.tensors, self.explicit = ranks, tensors, explicit
        self.across = min(ranks & -ranks, 8)
        self.data = ranks // self.across
        self.mesh, self.sharded = None, {}
        if not explicit:
            self.mesh = init_device_mesh("cpu", (self.data, self.across))
            self.sharded = {name_of(number): self.dtensor(number) for number in range(tensors)}

    def become(self, rank):
        """Lets this process be another rank of the mesh."""
        if self.mesh is not None:
            self.mesh._coordinate_on_dim = (rank // self.across, rank % self.across)

    def whole(self, number):
        """The dtype and extents of a tensor."""
        if self.explicit:
            rows = {0: (64 * self.ranks,), 1: (8 * self.ranks, 512), 2: (8 * self.ranks, 512)}
            shape = rows.get(number % 10, (32 * self.data, 4096))
        else:
            shape = {0: (16384,), 1: (64 * self.data,), 2: (64 * self.data,)}.get(number % 10, (32 * self.data, 4096))
        return torch.float32 if number % 10 < 3 else torch.bfloat16, shape

    def dtensor(self, number):
        dtype, shape = self.whole(number)
        placements = {0: [Replicate(), Replicate()], 1: [Shard(0), Replicate()], 2: [Shard(0), Replicate()]}
        placements = placements.get(number % 10, [_StridedShard(0, split_factor=self.across), Shard(0)])
        # Planning looks at what kind of memory a part has, not at how much.
        local = torch.empty(1, dtype=dtype).expand([1] * len(shape))
        size, stride = torch.Size(shape), torch.empty(shape, device="meta").stride()
        return DTensor.from_local(local, self.mesh, placements, run_check=False, shape=size, stride=stride)

    def boxes(self, number, rank):
        if number % 10 == 0:
            return [((64 * rank,), (64,))]
        if number % 10 == 1:
            return [((4 * at, 0), (4, 512)) for at in (rank, 2 * self.ranks - 1 - rank)]
        if number % 10 == 2:
            return [((8 * rank, 0), (8, 512))]
        columns = 4096 // self.across
        return [((32 * (rank // self.across), columns * (rank % self.across)), (32, columns))]

    def state(self, rank):
        """What a rank saves. DTensors are the same on all ranks but for the coordinate, which is the mesh's."""
        numbers = range(self.tensors)
        cut = {name_of(n): Explicit(*self.whole(n), self.boxes(n, rank)) for n in numbers} if self.explicit else {}
        return {"model": cut or self.sharded, "step": 100, "loader": {f"rank_{rank}": rank}}

    def rows(self, rank, ranks):
        """What a rank of another mesh loads: rows of each tensor, as torch.chunk cuts them."""

        def wanted(number):
            dtype, shape = self.whole(number)
            share = -(-shape[0] // ranks)
            start, end = min(share * rank, shape[0]), min(share * (rank + 1), shape[0])
            offsets, sizes = (start, *[0] * (len(shape) - 1)), (end - start, *shape[1:])
            return Explicit(dtype, shape, [(offsets, sizes)])

        return {"model": {name_of(number): wanted(number) for number in range(self.tensors)}}


def name_of(number):
    return f"layers.{number}.weight"


class Phases(dict):
    @contextmanager
    def time(self, name):
        start = time.perf_counter()
        yield
        self[name] = self.get(name, 0) + time.perf_counter() - start




def global_plan(model, phases):
    """The plans of all ranks and the metadata, as they reach ranks and coordinator."""
    plans, coordinator = [], None
    for rank in range(model.ranks):
        model.become(rank)
        state, planner = model.state(rank), DefaultSavePlanner()
        with phases.time("local plans"):
            planner.set_up_planner(state, is_coordinator=rank == 0)
            plan = planner.create_local_plan()
        with phases.time("exchange"):
            # Ranks gather their plans as pickles.
            plans.append(pickle.loads(pickle.dumps(plan)))
        coordinator = coordinator or planner
    with phases.time("global plan"):
        plans, metadata = coordinator.create_global_plan(plans)
    with phases.time("exchange"):
        plans = [pickle.loads(pickle.dumps(plan)) for plan in plans]
    return plans, metadata


def results(rank, plan):
    """What a rank reports of what it has written."""
    place = lambda number: _StorageInfo(relative_path=f"__{rank}_0.distcp", offset=number << 20, length=1 << 20)
    return [WriteResult(item.index, 1 << 20, place(number)) for number, item in enumerate(plan.items)]


def measure(args, directory):
    dist.init_process_group("fake", rank=0, world_size=args.ranks, store=FakeStore())
    model, phases = Model(args.ranks, args.tensors, args.explicit), Phases()
    plans, metadata = global_plan(model, phases)
    written = [results(rank, plan) for rank, plan in enumerate(plans)]
    del plans
    shards = sum(len(entry.chunks) for entry in metadata.state_dict_metadata.values() if hasattr(entry, "chunks"))
    with phases.time("index written"):
        writer = FileSystemWriter(directory, sync_files=False)
        writer.set_up_storage_writer(True)
        writer.finish(metadata, written)
    del metadata, written
    with phases.time("index read"):
        metadata = FileSystemReader(directory).read_metadata()
    load_ranks = args.load_ranks or max(args.ranks // 4 * 3, 1)
    wanted = model.rows(load_ranks // 2, load_ranks)
    with phases.time("load plan"):
        wanted, _ = flatten_state_dict(wanted)
        reads = len(create_default_local_load_plan(wanted, metadata).items)
    return phases, shards, reads


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ranks", type=int, default=1024)
    parser.add_argument("--tensors", type=int, default=1000)
    parser.add_argument("--explicit", action="store_true")
    parser.add_argument("--load-ranks", type=int)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        phases, shards, reads = measure(args, directory)
        index_bytes = len(open(f"{directory}/.metadata", "rb").read())
    of_load = ("index read", "load plan")
    print(
        json.dumps(
            {
                "ranks": args.ranks,
                "tensors": args.tensors,
                "explicit": args.explicit,
                "chunks": shards,
                "reads": reads,
                "phases": [{"name": name, "seconds": seconds} for name, seconds in phases.items()],
                "save_seconds": sum(seconds for name, seconds in phases.items() if name not in of_load),
                "open_seconds": phases["index read"],
                "load_plan_seconds": phases["load plan"],
                "index_bytes": index_bytes,
                "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
