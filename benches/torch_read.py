"""Saves what `torch_read` loads, and times PyTorch's DCP at it.

usage: torch_read.py save_rows DIR RANKS TENSORS ROWS COLUMNS
       torch_read.py load_columns DIR RANKS TENSORS ROWS COLUMNS
       torch_read.py save_chunk DIR ROWS COLUMNS
       torch_read.py load_slice DIR ROWS COLUMNS PARTS

Loading prints the time in seconds: the second time, when everything is imported and warm.
"""
import os
import sys

from torch_dcp import free_port, state, timed

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard


def on_ranks(work, ranks, *args):
    """Runs work(mesh, *args) on as many processes; prints what rank 0 returns."""
    results = mp.get_context("spawn").SimpleQueue()
    mp.spawn(on_rank, args=(work, ranks, free_port(), results, *args), nprocs=ranks)
    print(results.get())


def on_rank(rank, work, ranks, port, results, *args):
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    dist.init_process_group("gloo", rank=rank, world_size=ranks)
    result = work(init_device_mesh("cpu", (ranks,)), ranks, *args)
    if rank == 0:
        results.put(result)
    dist.barrier()
    dist.destroy_process_group()


def rows_saved(mesh, ranks, directory, *shape):
    by_rows = state(mesh, 0, ranks, *shape)
    return timed(lambda: dcp.save(by_rows, checkpoint_id=directory))


def columns_loaded(mesh, ranks, directory, *shape):
    by_columns = state(mesh, 1, ranks, *shape)
    load = lambda: dcp.load(by_columns, checkpoint_id=directory)
    timed(load)
    return timed(load)


def save_rows(directory, ranks, *shape):
    on_ranks(rows_saved, ranks, directory, *shape)


def load_columns(directory, ranks, *shape):
    on_ranks(columns_loaded, ranks, directory, *shape)


def save_chunk(directory, rows, columns):
    whole = torch.arange(rows * columns, dtype=torch.int32).reshape(rows, columns)
    dcp.save({"tensor": whole}, checkpoint_id=directory, no_dist=True)


def load_slice(directory, rows, columns, parts):
    """One rank's shard of many, without the other ranks."""
    from torch.testing._internal.distributed.fake_pg import FakeStore

    rank, height = parts // 2, rows // parts
    dist.init_process_group("fake", rank=rank, world_size=parts, store=FakeStore())
    mesh = init_device_mesh("cpu", (parts,))
    local = torch.zeros((height, columns), dtype=torch.int32)
    part = {"tensor": DTensor.from_local(local, mesh, [Shard(0)])}
    load = lambda: dcp.load(part, checkpoint_id=directory, no_dist=True)
    timed(load)
    seconds = timed(load)
    first = rank * height * columns
    assert torch.equal(local.flatten(), torch.arange(first, first + height * columns, dtype=torch.int32))
    print(seconds)


if __name__ == "__main__":
    what, directory, *numbers = sys.argv[1:]
    works = {work.__name__: work for work in [save_rows, load_columns, save_chunk, load_slice]}
    works[what](directory, *map(int, numbers))
