//! A vocabulary in the manner of `torch.save`: tensors become values at once, unknown globals are kept as they are and noted.

use std::collections::BTreeSet;

use crate::pickle::vocabulary::Pair;
use crate::pickle::{Fault, Node, Nodes, PickleError, Vocabulary, unpickle};

#[derive(Debug, Default)]
pub(super) struct Symbols {
    pub(super) unknown: BTreeSet<String>,
}

#[derive(Clone, Debug)]
pub(super) enum Atom<'a> {
    Global(&'a str, &'a str),
    /// Key and element count.
    Storage(&'a str, i64),
}

#[derive(Debug)]
pub(super) enum Object<'a> {
    Tensor { key: &'a str, numel: i64 },
    Symbolic(Box<Symbolic<'a>>),
}

/// A call that nobody makes.
#[derive(Debug)]
pub(super) struct Symbolic<'a> {
    pub(super) callable: Node<'a, Symbols>,
    pub(super) args: Nodes<'a, Symbols>,
    pub(super) state: Option<Node<'a, Symbols>>,
    pub(super) items: Vec<Node<'a, Symbols>>,
    pub(super) pairs: Vec<Pair<'a, Symbols>>,
}

pub(super) fn load(bytes: &[u8]) -> Result<(Node<'_, Symbols>, usize), PickleError> {
    unpickle(bytes, &mut Symbols::default())
}

impl<'a> Vocabulary<'a> for Symbols {
    type Atom = Atom<'a>;
    type Object = Object<'a>;

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<Atom<'a>, Box<Fault>> {
        if !matches!(module, "torch" | "torch._utils" | "collections" | "builtins" | "__builtin__") {
            self.unknown.insert(format!("{module}.{name}"));
        }
        Ok(Atom::Global(module, name))
    }

    fn call(&mut self, callable: &Node<'a, Self>, args: Nodes<'a, Self>) -> Result<Node<'a, Self>, Box<Fault>> {
        let Node::Atom(Atom::Global(module, name)) = callable else {
            return self.make(callable, args, None);
        };
        match (*module, *name, &*args) {
            ("torch._utils", "_rebuild_tensor_v2", [Node::Atom(Atom::Storage(key, numel)), ..]) => {
                Ok(Node::object(Object::Tensor { key, numel: *numel }))
            }
            ("collections", "OrderedDict", []) => Ok(Node::dict(Vec::new())),
            ("builtins" | "__builtin__", "set", [Node::List(items)]) => Ok(Node::set(items.borrow().clone())),
            _ => self.make(callable, args, None),
        }
    }

    fn make(
        &mut self,
        class: &Node<'a, Self>,
        args: Nodes<'a, Self>,
        _: Option<Node<'a, Self>>,
    ) -> Result<Node<'a, Self>, Box<Fault>> {
        let (callable, state, items, pairs) = (class.clone(), None, Vec::new(), Vec::new());
        Ok(Node::object(Object::Symbolic(Box::new(Symbolic { callable, args, state, items, pairs }))))
    }

    fn set_state(&mut self, object: &mut Object<'a>, state: &Node<'a, Self>) -> Result<(), Box<Fault>> {
        symbolic(object)?.state = Some(state.clone());
        Ok(())
    }

    fn append(&mut self, object: &mut Object<'a>, items: Vec<Node<'a, Self>>) -> Result<(), Box<Fault>> {
        symbolic(object)?.items.extend(items);
        Ok(())
    }

    fn set_items(&mut self, object: &mut Object<'a>, pairs: Vec<Pair<'a, Self>>) -> Result<(), Box<Fault>> {
        symbolic(object)?.pairs.extend(pairs);
        Ok(())
    }

    fn persistent(&mut self, id: Node<'a, Self>) -> Result<Node<'a, Self>, Box<Fault>> {
        let Node::Tuple(id) = id else { return Err(Fault::malformed(id.kind(), "a tuple")) };
        match &**id.items() {
            [Node::Str("storage"), Node::Atom(_), Node::Str(key), Node::Str(_), Node::Int(numel)] => {
                Ok(Node::Atom(Atom::Storage(key, *numel)))
            }
            _ => Err(Fault::malformed("something else", "a storage")),
        }
    }
}

fn symbolic<'o, 'a>(object: &'o mut Object<'a>) -> Result<&'o mut Symbolic<'a>, Box<Fault>> {
    match object {
        Object::Symbolic(symbolic) => Ok(symbolic),
        Object::Tensor { .. } => Err(Fault::malformed("a tensor", "another object")),
    }
}
