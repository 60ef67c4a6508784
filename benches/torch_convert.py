"""Makes what is converted, and times PyTorch's own conversions.

usage: torch_convert.py make DIR TENSORS ROWS COLUMNS     saves DIR/dcp and DIR/model.pt
       torch_convert.py to_torch_save DIR                 DIR/dcp to DIR/torch.pt
       torch_convert.py to_dcp DIR                        DIR/model.pt to DIR/torch_dcp

Conversions print the time in seconds and the peak of memory in bytes.
"""
import json
import os
import resource
import sys
import time

import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save, torch_save_to_dcp


def make(directory, tensors, rows, columns):
    os.makedirs(directory, exist_ok=True)
    # Random bits, so that nothing on the way can be clever about them.
    state = {"model": {f"layers.{n}.weight": torch.randn(rows, columns) for n in range(tensors)}, "step": 7}
    dcp.save(state, checkpoint_id=os.path.join(directory, "dcp"))
    torch.save(state, os.path.join(directory, "model.pt"))


def timed(work, *names):
    start = time.perf_counter()
    work(*names)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024]))


if __name__ == "__main__":
    what, directory, *numbers = sys.argv[1:]
    at = lambda name: os.path.join(directory, name)
    if what == "make":
        make(directory, *map(int, numbers))
    elif what == "to_torch_save":
        timed(dcp_to_torch_save, at("dcp"), at("torch.pt"))
    elif what == "to_dcp":
        timed(torch_save_to_dcp, at("model.pt"), at("torch_dcp"))
