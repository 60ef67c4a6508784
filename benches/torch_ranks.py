"""PyTorch's DCP on several processes, which save and load when they are told.

usage: torch_ranks.py RANKS TENSORS ROWS COLUMNS

Prints `ready`. Then, for each line of standard input, as {"what": "save", "directory": DIR, "threads": 1, "fsync": true} or
{"what": "load", "directory": DIR, "dim": 0}, the time in seconds, and the memory in bytes that the processes together took at most beyond what
they had. A state is saved by rows, and loaded by rows (dim 0) or columns (dim 1), in place; its values are checked.
"""
import json
import os
import queue
import sys
import time
import warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint import FileSystemReader, FileSystemWriter
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard


ROWS = 64


class Rank:
    """One process, and its part of the state."""

    def __init__(self, rank, ranks, tensors, rows, columns, port):
        os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
        dist.init_process_group("gloo", rank=rank, world_size=ranks)
        self.mesh = init_device_mesh("cpu", (ranks,))
        self.rank, self.ranks, self.tensors, self.shape, self.dim = rank, ranks, tensors, [rows, columns], None
        self.shard(0)

    def shard(self, dim):
        """Has the state sharded so."""
        if dim == self.dim:
            return
        self.state, self.dim = None, dim
        names = ((f"tensor.{number}", self.values(number)) for number in range(self.tensors))
        self.state = {name: DTensor.from_local(tensor, self.mesh, [Shard(dim)]) for name, tensor in names}

    def save(self, directory, threads, fsync):
        self.shard(0)
        writer = FileSystemWriter(directory, thread_count=threads, sync_files=fsync)
        return measured(lambda: dcp.save(self.state, storage_writer=writer))

    def load(self, directory, dim):
        self.shard(dim)
        for tensor in self.state.values():
            tensor.to_local().fill_(-1)
        used = measured(lambda: dcp.load(self.state, storage_reader=FileSystemReader(directory)))
        for number, tensor in enumerate(self.state.values()):
            # Some rows at a time: memory that comes and goes slows down whoever comes next.
            for found, expected in zip(tensor.to_local().split(ROWS), self.blocks(number, ROWS)):
                assert torch.equal(found, expected), f"tensor.{number} is not what was saved"
        return used

    def values(self, number):
        """This rank's part of a tensor."""
        return torch.cat(list(self.blocks(number, ROWS)))

    def blocks(self, number, height):
        """The same, some rows at a time: another value for each element, as in `state.rs`."""
        shape, first = list(self.shape), [0, 0]
        shape[self.dim] //= self.ranks
        first[self.dim] = self.rank * shape[self.dim]
        rows, columns = (torch.arange(start, start + count) for start, count in zip(first, shape))
        rows, columns = (rows * self.shape[1] + number * 7919).to(torch.int32), columns.to(torch.int32)
        for block in rows.split(height):
            yield block.unsqueeze(1).add(columns).bitwise_and_((1 << 23) - 1).to(torch.float32)


def measured(work):
    """From when all are ready until all are done."""
    # From here on the kernel counts anew how much memory there is at most.
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before = peak()
    dist.barrier()
    start = time.perf_counter()
    work()
    dist.barrier()
    seconds = time.perf_counter() - start
    # The kernel counts by processor, and tells a little less now and then.
    beyond = torch.tensor(max(peak() - before, 0))
    dist.all_reduce(beyond)
    return seconds, beyond.item()


def peak():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) << 10 for line in status if line.startswith("VmHWM:"))


def on_rank(number, orders, answers, *args):
    rank = Rank(number, *args)
    dist.barrier()
    if number == 0:
        answers.put("ready")
    while (order := orders[number].get()) is not None:
        used = getattr(rank, order.pop("what"))(**order)
        if number == 0:
            answers.put(used)
    dist.barrier()
    dist.destroy_process_group()


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def main():
    numbers = [int(number) for number in sys.argv[1:]]
    context = mp.get_context("spawn")
    orders, answers = [context.SimpleQueue() for _ in range(numbers[0])], context.Queue()
    ranks = mp.spawn(on_rank, args=(orders, answers, *numbers, free_port()), nprocs=numbers[0], join=False)

    def answer():
        while True:
            try:
                return answers.get(timeout=1)
            except queue.Empty:
                # Raises what a rank has raised.
                ranks.join(timeout=0)

    print(answer(), flush=True)
    for line in sys.stdin:
        for order in orders:
            order.put(json.loads(line))
        print(json.dumps(answer()), flush=True)
    for order in orders:
        order.put(None)
    ranks.join()


if __name__ == "__main__":
    main()
