"""Loads checkpoints with stock PyTorch, and compares what it finds with what was saved.

    load_dcp.py dtypes                the names of the dtypes that this PyTorch can save and load itself
    load_dcp.py check MANIFEST        checks every checkpoint that the manifest lists
    load_dcp.py check-sealed MANIFEST the same in one process, with an extension for what the tests seal
    load_dcp.py zstd                  whether this PyTorch can undo `stream.zstd`

The manifest is JSON: a list of {"path", "meshes": [[extents]], "tensors": {fqn: [dtype, shape, sha256]}, "objects": {fqn: how it is
shown}}. Of an object that is shown as null it is enough that it is loaded.
"""

import hashlib
import io
import json
import os
import pickle
import sys
import tempfile

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as dcp
import torch.multiprocessing as mp
from torch.distributed.checkpoint._nested_dict import set_element
from torch.distributed.checkpoint.filesystem import FileSystemReader
from torch.distributed.checkpoint.format_utils import dcp_to_torch_save
from torch.distributed.checkpoint.metadata import TensorStorageMetadata

try:
    from torch.distributed.tensor import DTensor, Shard, init_device_mesh
    from torch.distributed.tensor._utils import compute_local_shape_and_global_offset
except ImportError:  # before PyTorch 2.5
    from torch.distributed._tensor import DTensor, Shard, init_device_mesh
    from torch.distributed._tensor._utils import compute_local_shape_and_global_offset

try:
    from torch.distributed.checkpoint._extension import ExtensionRegistry, StreamTransformExtension, ZStandard
except ImportError:  # before PyTorch 2.7
    ZStandard = None

NOT_LOADED = "not loaded"


def main():
    if sys.argv[1] == "dtypes":
        dtypes = {getattr(torch, name) for name in dir(torch) if isinstance(getattr(torch, name), torch.dtype)}
        print("\n".join(sorted(str(dtype).removeprefix("torch.") for dtype in filter(is_saved, dtypes))))
        return
    if sys.argv[1] == "zstd":
        print(ZStandard is not None and ZStandard.is_available())
        return
    # Processes are forked.
    torch.set_num_threads(1)
    with open(sys.argv[2]) as manifest:
        checkpoints = json.load(manifest)
    for checkpoint in checkpoints:
        if sys.argv[1] == "check-sealed":
            check_sealed(checkpoint)
            continue
        check_alone(checkpoint)
        for mesh in checkpoint["meshes"]:
            check_on(mesh, checkpoint)
    print(f"PyTorch {torch.__version__}: {len(checkpoints)} checkpoints")


def is_saved(dtype):
    try:
        file = io.BytesIO()
        torch.save(blank((1,), dtype), file)
        file.seek(0)
        return torch.load(file, weights_only=True).dtype == dtype
    except Exception:
        return False


def check_alone(checkpoint):
    """In one process, everything: names, dtypes, shapes, every byte, every object."""
    path = checkpoint["path"]
    metadata = FileSystemReader(path).read_metadata()
    state = empty_state(metadata, lambda _, entry: blank(entry.size, entry.properties.dtype))
    dcp.load(state, checkpoint_id=path)
    check_whole(state, metadata, checkpoint)
    with tempfile.TemporaryDirectory() as folder:
        # What turns a checkpoint into one file, as people do who share it.
        file = os.path.join(folder, "whole.pt")
        dcp_to_torch_save(path, file)
        check_whole(torch.load(file, weights_only=False), metadata, checkpoint)
    check_items(path, metadata)


def check_sealed(checkpoint):
    """In one process, with an extension of one's own."""

    class Sealed(StreamTransformExtension):
        """As `tests/src/transforms.rs` has it: blocks of a length, the bytes with a key over them, and a sum. The last one is empty."""

        @staticmethod
        def registry_name():
            return "stream.sealed@dcp-tests"

        @staticmethod
        def from_descriptor(version):
            assert version == "1", version
            return Sealed()

        def get_descriptor(self):
            return "stream.sealed@dcp-tests/1"

        def transform_to(self, output):
            raise NotImplementedError

        def transform_from(self, input):
            blocks = []
            while length := int.from_bytes(input.read(2), "little"):
                blocks.append(bytes(byte ^ 0x5A for byte in input.read(length)))
                input.read(4)
            return io.BytesIO(b"".join(blocks))

    registry = ExtensionRegistry()
    registry.register(Sealed)
    reader = FileSystemReader(checkpoint["path"], _extension_registry=registry)
    metadata = reader.read_metadata()
    state = empty_state(metadata, lambda _, entry: blank(entry.size, entry.properties.dtype))
    dcp.load(state, storage_reader=reader)
    check_whole(state, metadata, checkpoint)


def check_whole(state, metadata, checkpoint):
    path = checkpoint["path"]
    flat = leaves(state, metadata)
    assert set(flat) == set(checkpoint["tensors"]) | set(checkpoint["objects"]), (path, sorted(flat))
    for fqn, (dtype, shape, digest) in checkpoint["tensors"].items():
        tensor = flat[fqn]
        assert str(tensor.dtype) == f"torch.{dtype}", (path, fqn, tensor.dtype)
        assert list(tensor.shape) == shape, (path, fqn, tensor.shape)
        assert hashlib.sha256(raw(tensor)).hexdigest() == digest, (path, fqn)
    check_objects(flat, checkpoint)


def check_objects(found, checkpoint):
    for fqn, expected in checkpoint["objects"].items():
        assert found[fqn] is not NOT_LOADED, (checkpoint["path"], fqn)
        if expected is not None:
            assert show(found[fqn]) == expected, (checkpoint["path"], fqn, show(found[fqn]), expected)


def check_items(path, metadata):
    """Each item by itself, as `torch.load` reads it, with no more trust than it must have."""
    for index, info in metadata.storage_data.items():
        with open(os.path.join(path, info.relative_path), "rb") as file:
            file.seek(info.offset)
            item = file.read(info.length)
        assert len(item) == info.length, (path, index)
        # Releases without transforms have no such field.
        if descriptors := getattr(info, "transform_descriptors", None):
            for extension in ExtensionRegistry().from_descriptor_list(descriptors):
                item = extension.transform_from(io.BytesIO(item)).read(-1)
        entry = metadata.state_dict_metadata[index.fqn]
        is_tensor = isinstance(entry, TensorStorageMetadata)
        try:
            content = torch.load(io.BytesIO(item), map_location="cpu", weights_only=True)
        except pickle.UnpicklingError:
            # Of objects PyTorch trusts fewer than it writes.
            assert not is_tensor, (path, index)
            continue
        if is_tensor:
            chunk = entry.chunks[index.index]
            assert chunk.offsets == index.offset and content.shape == chunk.sizes, (path, index)
            assert content.dtype == entry.properties.dtype and content.is_contiguous(), (path, index)


def check_on(mesh, checkpoint):
    """On a mesh of processes, each of which compares its shards."""
    world = 1
    for extent in mesh:
        world *= extent
    with tempfile.TemporaryDirectory() as folder:
        args = (world, mesh, os.path.join(folder, "store"), checkpoint)
        # Importing PyTorch takes longer than all the rest.
        mp.start_processes(check_rank, args=args, nprocs=world, start_method="fork")


def check_rank(rank, world, extents, store, checkpoint):
    path = checkpoint["path"]
    metadata = FileSystemReader(path).read_metadata()
    wholes = {
        fqn: blank(entry.size, entry.properties.dtype)
        for fqn, entry in metadata.state_dict_metadata.items()
        if isinstance(entry, TensorStorageMetadata)
    }
    flat = dict(wholes)
    dcp.load(flat, checkpoint_id=path)
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=rank, world_size=world)
    mesh = init_device_mesh("cpu", tuple(extents))

    def shard(fqn, entry):
        size = tuple(entry.size)
        if not size:
            return blank(size, entry.properties.dtype)
        placements = [Shard(dim % len(size)) for dim in range(len(extents))]
        local, _ = compute_local_shape_and_global_offset(size, mesh, placements)
        local = blank(local, entry.properties.dtype)
        stride = torch.empty(size, device="meta").stride()
        return DTensor.from_local(local, mesh, placements, run_check=False, shape=torch.Size(size), stride=stride)

    state = empty_state(metadata, shard)
    dcp.load(state, checkpoint_id=path)
    found = leaves(state, metadata)
    for fqn, whole in wholes.items():
        tensor = found[fqn]
        if isinstance(tensor, DTensor):
            sizes, offsets = compute_local_shape_and_global_offset(tuple(whole.shape), mesh, tensor.placements)
            for dim, (offset, size) in enumerate(zip(offsets, sizes)):
                whole = whole.narrow(dim, min(offset, whole.shape[dim]), size)
            tensor = tensor.to_local()
        assert raw(tensor) == raw(whole), (path, fqn, rank, extents)
    check_objects(found, checkpoint)
    dist.barrier()
    dist.destroy_process_group()


def empty_state(metadata, tensor):
    """The state that was saved, with other content."""
    state = {}
    for fqn, entry in metadata.state_dict_metadata.items():
        is_tensor = isinstance(entry, TensorStorageMetadata)
        set_element(state, metadata.planner_data[fqn], tensor(fqn, entry) if is_tensor else NOT_LOADED)
    return state


def leaves(state, metadata):
    found = {}
    for fqn, path in metadata.planner_data.items():
        found[fqn] = state
        for step in path:
            found[fqn] = found[fqn][step]
    return found


def blank(size, dtype):
    """Zeros, also of dtypes that cannot be filled."""
    tensor = torch.empty(size, dtype=dtype)
    tensor.reshape(-1).view(torch.uint8).zero_()
    return tensor


def raw(tensor):
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def show(value):
    """As Python does, but for what it says differently in different releases."""
    if isinstance(value, torch.nn.Parameter):
        return f"Parameter({show(value.data)}, {value.requires_grad})"
    if isinstance(value, torch.Tensor):
        return f"tensor({str(value.dtype).removeprefix('torch.')}, {list(value.shape)}, {raw(value).hex()})"
    if isinstance(value, (set, frozenset)):
        return f"{type(value).__name__}({sorted(value)})"
    if type(value) in (list, tuple):
        return f"{type(value).__name__}[{', '.join(map(show, value))}]"
    if isinstance(value, dict):
        return f"{type(value).__name__}{{{', '.join(f'{show(key)}: {show(item)}' for key, item in value.items())}}}"
    return repr(value)


if __name__ == "__main__":
    main()
