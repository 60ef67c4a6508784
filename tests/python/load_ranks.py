"""Loads a checkpoint with an index for each rank, as PyTorch loads it without collectives.

    load_ranks.py PATH RANKS

It holds `rows` and `columns`, which count from 0 and lie over the ranks as their names say, `replicated`, which all ranks have, and `step`.
"""

import os
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.tensor import Replicate, Shard, distribute_tensor, init_device_mesh

PLACEMENTS = {"rows": Shard(0), "columns": Shard(1), "replicated": Replicate()}


def main():
    path, ranks = sys.argv[1], int(sys.argv[2])
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        store = os.path.join(folder, "store")
        mp.start_processes(check_rank, args=(ranks, store, path), nprocs=ranks, start_method="fork")


def check_rank(rank, ranks, store, path):
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=ranks)
    mesh = init_device_mesh("cpu", (ranks,))
    expected = torch.arange(64, dtype=torch.float32).reshape(8, 8)
    state = {
        name: distribute_tensor(torch.full((8, 8), -1.0), mesh, [placement]) for name, placement in PLACEMENTS.items()
    }
    state["step"] = None
    dcp.load(state, checkpoint_id=path)
    assert state["step"] == 7, state["step"]
    for name, placement in PLACEMENTS.items():
        found, wanted = state[name], distribute_tensor(expected, mesh, [placement])
        assert torch.equal(found.to_local(), wanted.to_local()), (rank, name, found.to_local())
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
