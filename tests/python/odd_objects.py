"""Objects that only Python can make, as PyTorch saves them; and whether they are still what they were.

    odd_objects.py make FOLDER     writes one state into files of several forms, and what is expected of each object in it
    odd_objects.py check FOLDER    loads what was made of it: NAME.cut/OBJECT.pt, of each object alone, and NAME.dcp, a checkpoint in which each
                                   object is inside of a list, twice, and NAME.one.pt, the same as one file

`tests/fixtures/torch/26_objects` was made with it.
"""

import argparse
import collections
import copyreg
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import hashlib
import io
import json
import os
import pathlib
import pickletools
import sys
import uuid
import zipfile

import numpy
import torch

# Classes must have the same name wherever they are loaded.
sys.modules["odd_objects"] = sys.modules[__name__]


class Named:
    """Classes of this module, by its name rather than by that of the program."""

    def __init_subclass__(cls, **kwargs):
        super().__init_subclass__(**kwargs)
        cls.__module__ = "odd_objects"


class Plain(Named):
    def __init__(self, **values):
        self.__dict__.update(values)


@dataclasses.dataclass
class Config(Named):
    rate: float
    layers: list
    name: str = "small"


class Color(enum.Enum):
    RED = 1
    BLUE = "b"


Color.__module__ = "odd_objects"


class Outer(Named):
    class Inner(Named):
        def __eq__(self, other):
            return type(other) is type(self)


Outer.Inner.__qualname__ = "Outer.Inner"


class Bag(Named, list):
    """Has items and a state."""


class Table(Named, dict):
    def __init__(self, *args):
        super().__init__(*args)
        self.note = None


class Slotted(Named):
    __slots__ = ("a", "b")


class Keyworded(Named):
    def __new__(cls, *, size):
        made = super().__new__(cls)
        made.size = size
        return made

    def __getnewargs_ex__(self):
        return (), {"size": self.size}


class Reduced(Named):
    """Items, entries and a function that sets the state, all at once."""

    def __init__(self, seed):
        self.seed, self.items, self.entries, self.state = seed, [], {}, None

    def append(self, item):
        self.items.append(item)

    def extend(self, items):
        self.items.extend(items)

    def __setitem__(self, key, value):
        self.entries[key] = value

    def __reduce_ex__(self, protocol):
        return Reduced, (self.seed,), self.state, iter(self.items), iter(self.entries.items()), set_state


def set_state(target, state):
    target.state = state


set_state.__module__ = "odd_objects"


class Registered(Named):
    def __init__(self, value):
        self.value = value


copyreg.pickle(Registered, lambda made: (Registered, (made.value,)))


class Net(Named, torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Linear(3, 2)
        self.last = torch.nn.Linear(2, 3, bias=False)
        self.register_buffer("count", torch.tensor(7))


def filled(*shape, start=0, dtype=torch.float32):
    count = int(numpy.prod(shape))
    return torch.arange(start, start + count).to(dtype).reshape(shape)


def net():
    made = Net()
    with torch.no_grad():
        for number, tensor in enumerate(made.parameters()):
            tensor.copy_(filled(*tensor.shape, start=10 * number))
    made.last.weight = torch.nn.Parameter(made.first.weight.t())
    return made


def objects():
    shared = filled(4, 3)
    both = ["shared"]
    reduced = Reduced(3)
    reduced.items, reduced.entries, reduced.state = [1, both, both], {"k": both}, {"x": both}
    bag = Bag([1, both])
    bag.note = both
    table = Table({("a", 1): both})
    table.note = 5
    slotted = Slotted()
    slotted.a, slotted.b = 1, [2]
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(torch.optim.SGD([filled(1)], lr=0.25), T_max=10)
    return {
        "namespace": argparse.Namespace(lr=0.1, names=["a", "b"], nested=argparse.Namespace(x=None)),
        "dataclass": Config(0.5, [1, 2]),
        "enum": Color.BLUE,
        "nested class": Outer.Inner(),
        "counter": collections.Counter("abca"),
        "defaultdict": collections.defaultdict(list, {"a": [1], 2: both}),
        "deque": collections.deque([1, "two", both, both], maxlen=9),
        "long deque": collections.deque(range(1500)),
        "datetime": datetime.datetime(2024, 2, 29, 12, 30, 1, 7, datetime.timezone(datetime.timedelta(hours=2))),
        "timedelta": datetime.timedelta(days=-1, seconds=5),
        "partial": functools.partial(int, base=2),
        "path": pathlib.PurePosixPath("/data/run 1/é"),
        "fraction": fractions.Fraction(1, 3),
        "decimal": decimal.Decimal("1.10"),
        "uuid": uuid.UUID(int=5),
        "registered": Registered(("a", both)),
        "reduced": reduced,
        "bag": bag,
        "table": table,
        "slotted": slotted,
        "keyworded": Keyworded(size=4),
        "bytes": Plain(raw=b"\x00\xff", more=bytearray(b"abc"), none=b"", text="é" * 1200),
        "numbers": Plain(big=-(10**40), small=-1, wide=2**40, real=1e300, whole=True),
        "sets": Plain(some={1}, fixed=frozenset({"a"}), deep=frozenset({(1, frozenset({2}))})),
        "shared": Plain(a=both, b=both, c=(both, both)),
        "class": Plain(kind=Outer.Inner, function=set_state, builtin=range),
        "numpy scalar": numpy.float64(0.1),
        "numpy array": numpy.arange(6, dtype=numpy.int32).reshape(2, 3),
        "tensors": Plain(row=shared[1], column=shared.t()[2], whole=shared, other=filled(2, start=5, dtype=torch.bfloat16)),
        "reversed": Plain(last=filled(3, start=100), first=shared[0]),
        "flags": Plain(conj=torch.view_as_complex(filled(3, 2)).conj(), neg=torch._neg_view(filled(2))),
        "float8": Plain(x=filled(4).to(torch.float8_e4m3fn)),
        "parameter": Plain(p=torch.nn.Parameter(filled(2), requires_grad=False)),
        "empty tensor": Plain(x=torch.empty(0, 3)),
        "sparse": torch.eye(3).to_sparse(),
        "quantized": torch.quantize_per_tensor(filled(3), 0.5, 1, torch.quint8),
        "storage": filled(3, start=9).untyped_storage(),
        "module": model,
        "optimizer": optimizer,
        "scheduler": scheduler,
        "pair": (argparse.Namespace(x=1), shared[3]),
    }


def state():
    """Odd objects among others, as a trainer has them. Some look into tensors that are there by themselves."""
    made = objects()
    return {"weight": made["tensors"].whole, "odd": made, "list": [made["enum"], {"again": made["shared"]}], "step": 3}


FILES = {
    "zip2": {},
    "zip4": {"pickle_protocol": 4},
    "zip5": {"pickle_protocol": 5},
    "legacy2": {"_use_new_zipfile_serialization": False},
    "legacy4": {"_use_new_zipfile_serialization": False, "pickle_protocol": 4},
}


def make(folder):
    os.makedirs(folder, exist_ok=True)
    # The old form says where the source of a module's class was found.
    found = torch.serialization.get_source_lines_and_file

    def found_by_name(*args):
        lines, number, file = found(*args)
        return lines, number, os.path.basename(file)

    torch.serialization.get_source_lines_and_file = found_by_name
    for name, options in FILES.items():
        torch.save(state(), os.path.join(folder, f"{name}.pt"), **options)
    alone = {name: expected(made) for name, made in objects().items()}
    with open(os.path.join(folder, "expected.json"), "w") as file:
        json.dump({"torch": torch.__version__, "numpy": numpy.__version__, "objects": alone}, file, indent=1)
        file.write("\n")


def expected(made):
    """Of an object that is saved alone: the globals that it names, its pickle, and the storages that come with it."""
    file = io.BytesIO()
    torch.save(made, file)
    archive = zipfile.ZipFile(file)
    globals = []
    pickled = archive.read("archive/data.pkl")
    for operation, argument, _ in pickletools.genops(pickled):
        if operation.name == "GLOBAL" and argument.replace(" ", ".") not in globals:
            globals.append(argument.replace(" ", "."))
    storages = [archive.read(name) for name in archive.namelist() if name.startswith("archive/data/")]
    digest = lambda content: hashlib.sha256(content).hexdigest()
    return {"globals": globals, "pickle": digest(pickled), "storages": [digest(storage) for storage in storages]}


def loaded(made):
    """As it is after PyTorch has saved and loaded it by itself."""
    file = io.BytesIO()
    torch.save(made, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def check(folder):
    made = {name: loaded(made) for name, made in objects().items()}
    checked = 0
    for name in FILES:
        cut = os.path.join(folder, f"{name}.cut")
        for file in sorted(os.listdir(cut)):
            key = file.removesuffix(".pt")
            found = torch.load(os.path.join(cut, file), weights_only=False)
            assert show(found) == show(made[key]), (name, key, show(found), show(made[key]))
            checked += 1
        check_spliced(in_checkpoint(os.path.join(folder, f"{name}.dcp")), made)
        check_spliced(torch.load(os.path.join(folder, f"{name}.one.pt"), weights_only=False), made)
    print(f"PyTorch {torch.__version__}: {checked} objects")


def in_checkpoint(path):
    import torch.distributed.checkpoint as dcp
    from torch.distributed.checkpoint.filesystem import FileSystemReader

    metadata = FileSystemReader(path).read_metadata()
    found = dict.fromkeys(metadata.state_dict_metadata)
    dcp.load(found, checkpoint_id=path)
    return found


def check_spliced(found, made):
    assert found
    for key, (first, number, again) in found.items():
        assert number == 7, key
        assert show(first) == show(again) == show(made[key]), (key, show(first), show(again), show(made[key]))


def show(value):
    """All of a value as text: types, content, and what is one object in several places."""
    return Shown().value(value)


class Shown:
    def __init__(self):
        self.seen = {}
        self.kept = []

    def value(self, value):
        if value is None or isinstance(value, (bool, int, float, complex, str, bytes, type, torch.dtype, torch.device)):
            # Module names of NumPy's classes differ.
            return value.__qualname__ if isinstance(value, type) else f"{type(value).__name__} {value!r}"
        if isinstance(value, functools.partial):
            return f"partial {self.value([value.func, value.args, value.keywords])}"
        if callable(value) and hasattr(value, "__qualname__"):
            return f"function {value.__qualname__}"
        if id(value) in self.seen and not isinstance(value, (tuple, frozenset, enum.Enum)):
            return f"#{self.seen[id(value)]}"
        self.kept.append(value)
        number = self.seen.setdefault(id(value), len(self.seen))
        return f"#{number}={self.content(value)}"

    def content(self, value):
        name = type(value).__qualname__
        each = lambda items: ", ".join(map(self.value, items))
        pairs = lambda items: ", ".join(f"{self.value(key)}: {self.value(item)}" for key, item in items)
        if isinstance(value, torch.Tensor):
            if value.layout != torch.strided or value.is_quantized:
                return f"{name} {value!r}"
            storage = self.storage(value.untyped_storage())
            place = (value.dtype, tuple(value.shape), value.stride(), value.storage_offset())
            flags = (value.is_conj(), value.is_neg(), value.requires_grad)
            return f"{name} {place} {flags} of {storage}"
        if isinstance(value, torch.UntypedStorage):
            return self.storage(value)
        if isinstance(value, numpy.ndarray):
            return f"{name} {value.dtype} {value!r}"
        if isinstance(value, (numpy.generic, enum.Enum, datetime.date, datetime.timedelta, pathlib.PurePath)):
            return f"{name} {value!r}"
        if isinstance(value, (fractions.Fraction, decimal.Decimal, uuid.UUID, bytearray)):
            return f"{name} {value!r}"
        shown = name
        if isinstance(value, dict):
            shown += f" {{{pairs(value.items())}}}"
        elif isinstance(value, (list, tuple, collections.deque)):
            shown += f" [{each(value)}] {getattr(value, 'maxlen', None)}"
        elif isinstance(value, (set, frozenset)):
            shown += f" {{{', '.join(sorted(self.value(item) for item in value))}}}"
        attributes = dict(getattr(value, "__dict__", {}))
        attributes |= {slot: getattr(value, slot) for slot in getattr(value, "__slots__", ()) if hasattr(value, slot)}
        if isinstance(value, collections.defaultdict):
            attributes["factory"] = value.default_factory
        return f"{shown} ({pairs(attributes.items())})"

    def storage(self, storage):
        # Storages are wrapped anew each time; their memory is what is shared.
        key = ("storage", storage.data_ptr()) if storage.nbytes() else None
        if key in self.seen:
            return f"${self.seen[key]}"
        if key:
            self.seen[key] = len(self.seen)
            self.kept.append(storage)
        return f"storage({bytes(storage).hex()})"


if __name__ == "__main__":
    {"make": make, "check": check}[sys.argv[1]](sys.argv[2])
