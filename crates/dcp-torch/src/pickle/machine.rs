//! The stack machine.

use super::fill::{check_hashable, pairs};
use super::memo::Memo;
use super::node::Measure;
use super::op::{Op, Ops};
use super::record::Fields;
use super::{Fault, Node, Nodes, PickleError, Vocabulary};

/// Reads the pickle that the bytes start with; returns what it builds and how many bytes it takes.
pub(crate) fn unpickle<'a, V: Vocabulary<'a>>(
    bytes: &'a [u8],
    vocabulary: &mut V,
) -> Result<(Node<'a, V>, usize), PickleError> {
    let memo = Memo::foresee(bytes)?;
    let heaviest = u32::try_from(bytes.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_add(1 << 20);
    let unit = Node::tuple([].into());
    let most_containers = (bytes.len() / 2).max(1 << 16);
    let records = vocabulary.has_records();
    let mut machine = Machine {
        vocabulary,
        memo,
        stack: Vec::new(),
        marks: Vec::new(),
        heaviest,
        most_containers,
        containers: 0,
        spare: None,
        unit,
        records,
        fields: Fields::new(),
    };
    let mut ops = Ops::new(bytes);
    loop {
        if machine.record(&mut ops) {
            continue;
        }
        let position = ops.position();
        let op = ops.next()?;
        if op == Op::Stop {
            let root = machine.finish().map_err(|fault| fault.at(position))?;
            return Ok((root, ops.position()));
        }
        machine.step(op).map_err(|fault| fault.at(position))?;
    }
}

/// The deepest nesting: so little that recursion over a node is safe on any thread's stack.
const DEEPEST: u8 = 100;

pub(super) struct Machine<'v, 'a, V: Vocabulary<'a>> {
    pub(super) vocabulary: &'v mut V,
    pub(super) memo: Memo<'a, V>,
    pub(super) stack: Vec<Node<'a, V>>,
    /// The height of the stack at each mark.
    pub(super) marks: Vec<usize>,
    heaviest: u32,
    /// Picklers memoise every container that may change, so that each takes two bytes: what is far larger than its bytes is not theirs.
    most_containers: usize,
    containers: usize,
    /// An empty dict that nobody holds any more: the state of an object lives for a few operations only.
    pub(super) spare: Option<Node<'a, V>>,
    /// The empty tuple: half of all objects are made of it.
    unit: Node<'a, V>,
    /// Whether the vocabulary has records.
    pub(super) records: bool,
    /// Those of the record that is being read.
    pub(super) fields: Fields<'a, V>,
}

impl<'a, V: Vocabulary<'a>> Machine<'_, 'a, V> {
    #[inline(always)]
    fn step(&mut self, op: Op<'a>) -> Result<(), Box<Fault>> {
        match op {
            Op::Nothing | Op::Stop => {}
            Op::Protocol(version) => self.vocabulary.protocol(version),
            Op::Mark => self.marks.push(self.stack.len()),
            Op::Pop => self.drop_top()?,
            Op::PopMark => drop(self.pop_marked()?),
            Op::Dup => {
                let node = top(&self.stack, &self.marks)?.clone();
                self.stack.push(node);
            }
            Op::None => self.stack.push(Node::None),
            Op::Bool(value) => self.stack.push(Node::Bool(value)),
            Op::Int(value) => self.stack.push(Node::Int(value)),
            Op::Long(digits) => self.stack.push(integer(digits).map_or(Node::BigInt(digits), Node::Int)),
            Op::Float(value) => self.stack.push(Node::Float(value)),
            Op::Text(text) => self.stack.push(Node::Str(utf8(text)?)),
            Op::Bytes(bytes) => self.stack.push(Node::Bytes(bytes)),
            Op::ByteArray(bytes) => self.stack.push(Node::ByteArray(bytes)),
            Op::TupleOf(0) => self.stack.push(self.unit.clone()),
            Op::TupleOf(count) => self.tuple_of(count.into())?,
            Op::Tuple => {
                let items = self.pop_marked()?.collect();
                self.push(Node::tuple(items))?;
            }
            Op::FrozenSet => {
                let items: Nodes<'a, V> = self.pop_marked()?.collect();
                check_hashable(items.iter())?;
                self.push(Node::frozen_set(items))?;
            }
            Op::EmptyList => {
                self.count_container()?;
                self.stack.push(Node::list(Vec::new()));
            }
            Op::EmptyDict => {
                self.count_container()?;
                let dict = self.spare.take().unwrap_or_else(|| Node::dict(Vec::new()));
                self.stack.push(dict);
            }
            Op::EmptySet => {
                self.count_container()?;
                self.stack.push(Node::set(Vec::new()));
            }
            Op::List => {
                let items = self.pop_marked()?.collect();
                self.push(Node::list(items))?;
            }
            Op::Dict => {
                let pairs = pairs(self.pop_marked()?)?;
                self.push(Node::dict(pairs))?;
            }
            Op::Append => {
                let item = self.pop()?;
                self.append(vec![item])?;
            }
            Op::Appends => {
                let items = self.pop_marked()?.collect();
                self.append(items)?;
            }
            Op::SetItem => {
                let (value, key) = (self.pop()?, self.pop()?);
                self.set_items(pairs([key, value].into_iter())?)?;
            }
            Op::SetItems => self.set_marked()?,
            Op::AddItems => {
                let items = self.pop_marked()?.collect();
                self.add_items(items)?;
            }
            Op::Global(lines) => {
                let global = self.global(lines)?;
                self.stack.push(global);
            }
            Op::StackGlobal => self.stack_global()?,
            Op::Reduce => {
                let (args, callable) = (self.pop_args()?, self.pop()?);
                self.call(&callable, args)?;
            }
            Op::NewObj => {
                let (args, class) = (self.pop_args()?, self.pop()?);
                self.make(&class, args, None)?;
            }
            Op::NewObjEx => {
                let (kwargs, args, class) = (self.pop()?, self.pop_args()?, self.pop()?);
                if !matches!(kwargs, Node::Dict(_)) {
                    return Err(Fault::malformed(kwargs.kind(), "a dict of keyword arguments"));
                }
                self.make(&class, args, Some(kwargs))?;
            }
            Op::Obj => {
                let mut items = self.pop_marked()?;
                let class = items.next().ok_or_else(|| Fault::malformed("nothing", "a class to make an object of"))?;
                let args = items.collect();
                self.instantiate(&class, args)?;
            }
            Op::Inst(lines) => {
                let args = self.pop_marked()?.collect();
                let class = self.global(lines)?;
                self.instantiate(&class, args)?;
            }
            Op::Build => self.build()?,
            Op::PersistentId => {
                let id = self.pop()?;
                let measure = Measure::around([&id]);
                let made = self.vocabulary.persistent(id)?;
                self.push_made(made, measure)?;
            }
            Op::Put(slot) => {
                let top = top(&self.stack, &self.marks)?;
                self.memo.put(slot, top);
            }
            Op::Memoize => {
                let top = top(&self.stack, &self.marks)?;
                self.memo.memoize(top);
            }
            Op::Get(slot) => {
                let node = self.memo.get(slot)?;
                self.stack.push(node.clone());
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<Node<'a, V>, Box<Fault>> {
        let root = self.pop()?;
        let left = self.stack.len() + self.marks.len();
        if left == 0 { Ok(root) } else { Err(Fault::malformed(format_args!("{left} more things on the stack"), "one")) }
    }

    #[inline]
    pub(super) fn pop(&mut self) -> Result<Node<'a, V>, Box<Fault>> {
        top(&self.stack, &self.marks)?;
        self.stack.pop().ok_or_else(empty)
    }

    /// The nodes above the last mark.
    #[inline]
    fn pop_marked(&mut self) -> Result<std::vec::Drain<'_, Node<'a, V>>, Box<Fault>> {
        let mark = self.pop_mark()?;
        Ok(self.stack.drain(mark..))
    }

    /// Takes the last mark away: how high the stack was there.
    #[inline]
    pub(super) fn pop_mark(&mut self) -> Result<usize, Box<Fault>> {
        self.marks.pop().ok_or_else(|| Fault::malformed("no mark", "one on the stack"))
    }

    #[inline]
    fn pop_args(&mut self) -> Result<Nodes<'a, V>, Box<Fault>> {
        match self.pop()? {
            Node::Tuple(args) => Ok(args.items().clone()),
            other => Err(Fault::malformed(other.kind(), "a tuple of arguments")),
        }
    }

    /// POP takes a mark if there is one on top.
    fn drop_top(&mut self) -> Result<(), Box<Fault>> {
        match self.marks.last() {
            Some(mark) if *mark == self.stack.len() => drop(self.marks.pop()),
            _ => {
                let node = self.pop()?;
                self.vocabulary.discard(node)?;
            }
        }
        Ok(())
    }

    #[inline(always)]
    fn push(&mut self, node: Node<'a, V>) -> Result<(), Box<Fault>> {
        self.check(node.measure())?;
        self.stack.push(node);
        Ok(())
    }

    /// Pushes what the vocabulary made of something of this measure. Something that was there before is as heavy as it was.
    fn push_made(&mut self, node: Node<'a, V>, measure: Measure) -> Result<(), Box<Fault>> {
        if let Node::Object(object) = &node
            && !object.is_closed()
        {
            object.set_measure(object.measure().join(measure));
        }
        self.push(node)
    }

    #[inline]
    pub(super) fn check(&self, measure: Measure) -> Result<(), Box<Fault>> {
        if measure.depth > DEEPEST {
            return Err(Fault::limit("the depth of nesting", DEEPEST));
        }
        if measure.weight > self.heaviest {
            return Err(Fault::limit("the expanded size", self.heaviest));
        }
        Ok(())
    }

    #[inline]
    fn count_container(&mut self) -> Result<(), Box<Fault>> {
        self.containers += 1;
        if self.containers > self.most_containers {
            return Err(Fault::limit("the number of lists, dicts and sets", self.most_containers as u64));
        }
        Ok(())
    }

    #[inline]
    fn tuple_of(&mut self, count: usize) -> Result<(), Box<Fault>> {
        let start =
            self.stack.len().checked_sub(count).filter(|start| *start >= fence(&self.marks)).ok_or_else(empty)?;
        let items = self.stack.drain(start..).collect();
        self.push(Node::tuple(items))
    }

    fn call(&mut self, callable: &Node<'a, V>, args: Nodes<'a, V>) -> Result<(), Box<Fault>> {
        let measure = Measure::around(args.iter().chain(made_from(callable)));
        let made = self.vocabulary.call(callable, args)?;
        self.push_made(made, measure)
    }

    /// A class without arguments only makes an object, as Python has it.
    fn instantiate(&mut self, class: &Node<'a, V>, args: Nodes<'a, V>) -> Result<(), Box<Fault>> {
        if args.is_empty() { self.make(class, args, None) } else { self.call(class, args) }
    }

    #[inline]
    fn make(&mut self, class: &Node<'a, V>, args: Nodes<'a, V>, kwargs: Option<Node<'a, V>>) -> Result<(), Box<Fault>> {
        let measure = Measure::around(args.iter().chain(&kwargs).chain(made_from(class)));
        let made = self.vocabulary.make(class, args, kwargs)?;
        self.push_made(made, measure)
    }

    fn global(&mut self, lines: &'a [u8]) -> Result<Node<'a, V>, Box<Fault>> {
        let mut lines = utf8(lines)?.lines();
        let (module, name) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
        Ok(Node::Atom(self.vocabulary.global(module, name)?))
    }

    fn stack_global(&mut self) -> Result<(), Box<Fault>> {
        match (self.pop()?, self.pop()?) {
            (Node::Str(name), Node::Str(module)) => {
                let global = self.vocabulary.global(module, name)?;
                self.stack.push(Node::Atom(global));
                Ok(())
            }
            (name, module) => {
                let found = format!("{} and {}", module.kind(), name.kind());
                Err(Fault::malformed(found, "the module and name of a global, as text"))
            }
        }
    }
}

/// A callable, if it counts as a part of what it makes: not a global, but something that was made itself.
#[inline]
fn made_from<'n, 'a, V: Vocabulary<'a>>(callable: &'n Node<'a, V>) -> Option<&'n Node<'a, V>> {
    (!matches!(callable, Node::Atom(_))).then_some(callable)
}

#[inline]
fn fence(marks: &[usize]) -> usize {
    marks.last().copied().unwrap_or(0)
}

/// The topmost node; nodes below a mark are out of reach.
#[inline]
pub(super) fn top<'s, T>(stack: &'s [T], marks: &[usize]) -> Result<&'s T, Box<Fault>> {
    stack.get(fence(marks)..).and_then(<[T]>::last).ok_or_else(empty)
}

#[cold]
fn empty() -> Box<Fault> {
    Fault::malformed("an empty stack", "something on it")
}

fn utf8(text: &[u8]) -> Result<&str, Box<Fault>> {
    std::str::from_utf8(text).map_err(|_| Fault::unsupported("text that is not UTF-8"))
}

/// The value of digits that fit into a number here.
#[inline]
pub(super) fn integer(digits: &[u8]) -> Option<i64> {
    let negative = digits.last().is_some_and(|last| last & 0x80 != 0);
    let fill = if negative { 0xff } else { 0 };
    let mut bytes = [fill; 8];
    let (low, high) = digits.split_at(digits.len().min(8));
    bytes[..low.len()].copy_from_slice(low);
    let value = i64::from_le_bytes(bytes);
    (high.iter().all(|byte| *byte == fill) && (value < 0) == negative).then_some(value)
}
