#!/usr/bin/env python3
"""Reads a checkpoint of the native format, version 1 to 4, with nothing but Python's standard library.

    python3 read_native.py DIRECTORY
    python3 read_native.py --values DIRECTORY

The first prints the SHA-256 and the name of each tensor, as `sha256sum` would; the second each value and its name. It follows `format.md` literally and is made to be read, not to
be fast. It checks every CRC; the XXH3-128 of the index is left out, as the standard library does not have it. What was compressed with zstd it
reads with Python 3.14, or with the package `zstandard`.
"""

import hashlib
import math
import struct
import sys
import zlib
from pathlib import Path

SIZES = {
    "bool": 1, "uint8": 1, "uint16": 2, "uint32": 4, "uint64": 8, "int8": 1, "int16": 2, "int32": 4, "int64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex32": 4, "complex64": 8, "complex128": 16,
    "float8_e4m3fn": 1, "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
    "float4_e2m1fn_x2": 1,
}


# --- Transforms


def unzstd(data):
    try:
        from compression import zstd
    except ImportError:
        import zstandard

        return zstandard.ZstdDecompressor().decompressobj().decompress(data)
    return zstd.decompress(data)


# What undoes a transform, by its descriptor. Those of `dcp.example` are the fixture's.
UNDO = {
    "stream.zstd/1": unzstd,
    "stream.not@dcp.example/1": lambda data: bytes(byte ^ 0xFF for byte in data),
    "stream.hex@dcp.example/1": lambda data: bytes.fromhex(data.decode()),
}


def undone(data, transforms):
    for descriptor in transforms:
        if descriptor not in UNDO:
            raise ValueError(f"nothing here undoes the transform {descriptor}")
        data = UNDO[descriptor](data)
    return data


# --- MessagePack


def unpack(data):
    """The one object that all of `data` is."""
    value, end = unpack_at(data, 0)
    if end != len(data):
        raise ValueError(f"{len(data) - end} bytes follow")
    return value


def unpack_at(data, at):
    tag, at = data[at], at + 1

    def number(code):
        size = struct.calcsize(code)
        return struct.unpack(">" + code, data[at : at + size])[0], at + size

    def raw(length, start, text):
        content = bytes(data[start : start + length])
        return (content.decode() if text else content), start + length

    def items(count, start):
        found = []
        for _ in range(count):
            item, start = unpack_at(data, start)
            found.append(item)
        return found, start

    def pairs(count, start):
        flat, start = items(2 * count, start)
        return dict(zip(flat[::2], flat[1::2])), start

    if tag <= 0x7F:
        return tag, at
    if tag >= 0xE0:
        return tag - 256, at
    if tag <= 0x8F:
        return pairs(tag & 0xF, at)
    if tag <= 0x9F:
        return items(tag & 0xF, at)
    if tag <= 0xBF:
        return raw(tag & 0x1F, at, True)
    if tag in (0xC0, 0xC2, 0xC3):
        return {0xC0: None, 0xC2: False, 0xC3: True}[tag], at
    numbers = dict(zip(range(0xCA, 0xD4), "f d B H I Q b h i q".split()))
    if tag in numbers:
        return number(numbers[tag])
    lengths = {0xC4: "B", 0xC5: "H", 0xC6: "I", 0xD9: "B", 0xDA: "H", 0xDB: "I"}
    if tag in lengths:
        length, start = number(lengths[tag])
        return raw(length, start, tag >= 0xD9)
    counts = {0xDC: "H", 0xDD: "I", 0xDE: "H", 0xDF: "I"}
    if tag in counts:
        count, start = number(counts[tag])
        return (items if tag <= 0xDD else pairs)(count, start)
    raise ValueError(f"unknown MessagePack tag {tag:#x}")


# --- The index


def read_index(path):
    data = path.read_bytes()
    magic, version, flags, generation, length = struct.unpack("<8sIIQQ", data[:32])
    if magic != b"\x89DCPIDX\n" or version not in (1, 2, 3, 4) or flags != 0 or len(data) != 32 + length + 16:
        raise ValueError(f"{path} is not an index of version 1 to 4")
    rule, files_per_rank, align, block, (meshes, entries), ranks, parents, *more = unpack(data[32 : 32 + length])
    if rule != (version - 1) % 2 + 1 or parents:
        raise ValueError(f"{path} needs a newer reader")
    transforms = more[0] if rule == 2 else []
    checksum = zlib.crc32 if version <= 2 else crc32c
    return generation, files_per_rank, align, block, meshes, entries, ranks, transforms, checksum


def name_of(path):
    """`[{"k": {"s": "model"}}, {"l": 0}]` is `model.0`."""
    parts = []
    for segment in path:
        ((kind, step),) = segment.items()
        parts.append(str(next(iter(step.values())) if kind == "k" else step))
    return ".".join(parts)


# --- Values


def shown(packed):
    """A value as text, much as Python shows it; a tensor with the SHA-256 of its elements."""
    if packed == "None":
        return packed
    ((kind, content),) = packed.items()
    if kind in ("List", "Tuple"):
        return f"{kind}({', '.join(map(shown, content))})"
    if kind == "Dict":
        pairs = (f"{next(iter(key.values()))!r}: {shown(value)}" for key, value in content)
        return f"Dict({', '.join(pairs)})"
    if kind == "Typed":
        name, value = content
        return f"{name}({shown(value)})"
    if kind == "Tensor":
        dtype, shape, requires_grad, data = content
        if len(data) != SIZES[dtype] * math.prod(shape):
            raise ValueError("a tensor has another size than its shape")
        return f"Tensor({dtype}, {shape}, {requires_grad}, {hashlib.sha256(data).hexdigest()})"
    if kind not in ("Bool", "Int", "UInt", "Float", "Complex", "Str", "Bytes", "Opaque"):
        raise ValueError(f"a value of the kind {kind!r} needs a newer reader")
    return f"{kind}({content!r})"


# --- Who holds which chunk


def ceil_div(a, b):
    return -(-a // b)


def cutting_order(steps):
    """`steps` are (mesh dimension, ways, split), by ascending mesh dimension."""
    order = []
    for mesh_dim, ways, split in reversed(steps):
        shards, before = 1, 0
        while shards != split:
            if before == len(order):
                return None
            shards *= order[before][1]
            before += 1
        order.insert(before, (mesh_dim, ways, 1))
    return order


def slice_runs(runs, low, high):
    """The indices number `low..high` of the sequence that the runs are."""
    position = 0
    for start, length in runs:
        first, last = max(low, position), min(high, position + length)
        if first < last:
            yield (start + first - position, last - first)
        position += length


def runs_of(length, steps, coordinate):
    """What a coordinate of the mesh holds of one dimension, as (start, length)."""
    runs = [(0, length)] if length else []
    for mesh_dim, ways, split in steps:
        total = sum(run[1] for run in runs)
        if total == 0:
            return []
        part = ceil_div(total, split)
        kept = []
        for begin in range(0, total, part):
            end = min(begin + part, total)
            shard = ceil_div(end - begin, ways)
            low = min(begin + shard * coordinate[mesh_dim], end)
            kept.extend(slice_runs(runs, low, min(low + shard, end)))
        runs = kept
    return runs


def coordinates(shape):
    found = [[]]
    for ways in shape:
        found = [before + [c] for before in found for c in range(ways)]
    return found


def rank_at(mesh, coordinate):
    shape, _names, ranks = mesh
    if "l" in ranks:
        position = 0
        for c, ways in zip(coordinate, shape):
            position = position * ways + c
        return ranks["l"][position]
    start, strides = ranks["a"]
    return start + sum(c * stride for c, stride in zip(coordinate, strides))


def product(lists):
    found = [[]]
    for choices in lists:
        found = [before + [choice] for before in found for choice in choices]
    return found


def grid_chunks(shape, mesh, placements, replica):
    """(rank, offsets, sizes) of each chunk; those of one rank in their order."""
    steps = [[] for _ in shape]
    for mesh_dim, (placement, ways) in enumerate(zip(placements, mesh[0])):
        if placement != "r":
            ((kind, content),) = placement.items()
            dim, split = (content, 1) if kind == "s" else content
            steps[dim].append((mesh_dim, ways, split))
    orders = [cutting_order(of_dim) for of_dim in steps]
    if all(order is not None for order in orders):
        steps = orders
    for coordinate in coordinates(mesh[0]):
        number = 0
        for placement, ways, c in zip(placements, mesh[0], coordinate):
            if placement == "r":
                number = number * ways + c
        if number == replica:
            held = [runs_of(extent, of_dim, coordinate) for extent, of_dim in zip(shape, steps)]
            for runs in product(held):
                yield rank_at(mesh, coordinate), [run[0] for run in runs], [run[1] for run in runs]


def chunks_of(shape, chunks, meshes):
    ((kind, content),) = chunks.items()
    if kind == "w":
        found = [(content, [0] * len(shape), shape)]
    elif kind == "g":
        mesh, placements, replica = content
        found = grid_chunks(shape, meshes[mesh], placements, replica)
    else:
        found = ((rank, offsets, sizes) for (offsets, sizes), rank in content)
    return [chunk for chunk in found if 0 not in chunk[2]]


# --- Where it lies


def lay_out(chunks, values, files_per_rank, align):
    """The files of a rank as (number, [(offset, entry, offsets, sizes, length)], where values start)."""
    files = [[number, [], 0] for number in range(min(files_per_rank, len(chunks) + len(values)))]
    for entry, offsets, sizes, length in chunks:
        file = min(files, key=lambda file: (file[2], file[0]))
        offset = ceil_div(file[2], align) * align
        file[1].append((offset, entry, offsets, sizes, length))
        file[2] = offset + length
    return [file for file in files if file[1] or (file[0] == 0 and values)]


def encoded_extents(data, items, footer):
    """Where the items of a file of layout rule 2 lie: its footer begins with their lengths."""
    lengths = struct.unpack_from(f"<{items}Q", data, footer)
    extents, offset = [], 0
    for length in lengths:
        extents.append((offset, length))
        offset += length
    if offset != footer:
        raise ValueError("the items of a file end somewhere else than its footer starts")
    return extents


def main(directory, want_values):
    generation, files_per_rank, align, block, meshes, entries, ranks, transforms, checksum = read_index(
        directory / "index.dcp"
    )
    tensors, chunks, values, found = {}, {}, {}, {}
    for number, (path, kind) in enumerate(entries):
        ((tag, content),) = kind.items()
        if tag != "t":
            values.setdefault(content, []).append(number)
            continue
        dtype, shape, cut = content
        tensors[number] = (name_of(path), dtype, shape, bytearray(SIZES[dtype] * math.prod(shape)))
        for rank, offsets, sizes in chunks_of(shape, cut, meshes):
            chunks.setdefault(rank, []).append((number, offsets, sizes, SIZES[dtype] * math.prod(sizes)))

    for rank, facts in ranks:
        of_rank = values.pop(rank, [])
        files = lay_out(chunks.pop(rank, []), of_rank, files_per_rank, align)
        if len(files) != len(facts):
            raise ValueError(f"rank {rank} has {len(facts)} files, not {len(files)}")
        for (number, placed, end), (listed, size, footer_crc, lengths) in zip(files, facts):
            if number != listed:
                raise ValueError(f"rank {rank} has a file {listed}, not {number}")
            suffix = f".g{generation}" if generation else ""
            data = (directory / f"__{rank}_{number}{suffix}.distcp").read_bytes()
            if transforms:
                (end,) = lengths
                of_file = of_rank if number == 0 else []
                extents = encoded_extents(data, len(placed) + len(of_file), end)
            else:
                extents = [(offset, length) for offset, _, _, _, length in placed]
                for length in lengths:
                    extents.append((end, length))
                    end += length
            check(checksum, data, extents, end, size, footer_crc, block, bool(transforms))
            content = [undone(data[offset : offset + length], transforms) for offset, length in extents]
            for entry, value in zip(of_rank, content[len(placed) :]):
                found[entry] = shown(unpack(value))
            for (_, entry, offsets, sizes, length), chunk in zip(placed, content):
                _, dtype, shape, into = tensors[entry]
                if len(chunk) != length:
                    raise ValueError("a chunk has another size than its region")
                copy(chunk, into, shape, offsets, sizes, SIZES[dtype])
    if chunks or values:
        raise ValueError("the index lists no files for some ranks")
    if want_values:
        for entry, value in sorted(found.items()):
            print(f"{name_of(entries[entry][0])}  {value}")
        return
    for name, _, _, content in tensors.values():
        print(f"{hashlib.sha256(content).hexdigest()}  {name}")


def crc32c(data):
    """The checksum of iSCSI (RFC 3720), which the standard library does not have."""
    found = 0xFFFFFFFF
    for byte in data:
        found = found >> 8 ^ CASTAGNOLI[(found ^ byte) & 0xFF]
    return found ^ 0xFFFFFFFF


def castagnoli(byte):
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


CASTAGNOLI = [castagnoli(byte) for byte in range(256)]


def check(checksum, data, extents, footer, size, footer_crc, block, has_lengths):
    """Compares all checksums of a file."""
    if len(data) != size or checksum(data[footer:]) != footer_crc:
        raise ValueError("a file has another size, or another footer")
    found = []
    for offset, length in extents:
        for start in range(offset, offset + length, block):
            found.append(checksum(data[start : min(start + block, offset + length)]))
    checksums = footer + 8 * len(extents) if has_lengths else footer
    if data[checksums:] != struct.pack(f"<{len(found)}I", *found):
        raise ValueError("a block is damaged")


def copy(chunk, into, shape, offsets, sizes, element):
    """Puts a row-major chunk where it belongs in a row-major tensor, row by row."""
    row = (sizes[-1] if sizes else 1) * element
    outer = product([range(size) for size in sizes[:-1]])
    for number, index in enumerate(outer):
        position = 0
        for i, offset, extent in zip(index + [0], offsets, shape):
            position = position * extent + offset + i
        at = position * element
        into[at : at + row] = chunk[number * row : (number + 1) * row]


if __name__ == "__main__":
    arguments = [argument for argument in sys.argv[1:] if argument != "--values"]
    if len(arguments) != 1:
        sys.exit(__doc__)
    main(Path(arguments[0]), "--values" in sys.argv)
