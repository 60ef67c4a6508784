//! The objects of a `.metadata`, made compact as soon as their state is known.

use dcp_storage::Transforms;
use dcp_types::DType;

use super::extents::Extents;
use super::flaw::Flaw;
use super::lists::{ListNumber, NO_TRANSFORMS};
use super::words::{Atom, Class, FOREIGN_DTYPES, Words};
use crate::pickle::Node;

type Item<'a> = Node<'a, Words<'a>>;

/// An object. Half of a large index is chunks, half is keys and places: those are [`Atom`]s as soon as they have a state.
#[derive(Debug)]
pub(super) enum Object<'a> {
    /// One that has no state yet.
    New(Class),
    Metadata(Box<Top<'a>>),
    Tensor(Box<Tensor<'a>>),
    Leaf(Atom),
    /// Of a checkpoint that is written here, `save_id` tells the generation.
    StorageMeta {
        save_id: Option<&'a str>,
    },
}

/// The leaf that a node is, be it in an object that is in several places.
pub(super) fn leaf(node: &Item<'_>) -> Option<Atom> {
    match node {
        Node::Atom(atom) => Some(*atom),
        Node::Object(object) => match &*object.borrow() {
            Object::Leaf(atom) => Some(*atom),
            _ => None,
        },
        _ => None,
    }
}

/// The whole.
#[derive(Debug)]
pub(super) struct Top<'a> {
    /// A dict, name -> tensor or bytes.
    pub(super) state_dict: Item<'a>,
    /// A dict, name -> path.
    pub(super) planner: Item<'a>,
    /// A dict, index -> storage.
    pub(super) storage: Item<'a>,
    pub(super) storage_meta: Item<'a>,
}

#[derive(Debug)]
pub(super) struct Tensor<'a> {
    pub(super) dtype: DType,
    pub(super) size: Extents,
    /// A list.
    pub(super) chunks: Item<'a>,
}

impl<'a> Object<'a> {
    /// The object of a class with this state.
    pub(super) fn filled(class: Class, state: &Item<'a>, words: &mut Words<'a>) -> Result<Self, Flaw> {
        match state {
            Node::Dict(pairs) => {
                let pairs = pairs.borrow();
                let is = |key: &Item<'a>, name: &str| matches!(key, Node::Str(key) if *key == name);
                let value_of = |name: &str| Some(&pairs.iter().rev().find(|(key, _)| is(key, name))?.1);
                Self::of(class, Attributes(value_of), words)
            }
            _ if class == Class::Properties => properties(state, words),
            other => Err(Flaw::corrupt(format_args!("{} as the state of an object", other.kind()))),
        }
    }

    /// The object of a class with these attributes.
    #[inline]
    pub(super) fn of<'s>(
        class: Class,
        state: Attributes<impl Fn(&str) -> Option<&'s Item<'a>>>,
        words: &mut Words<'a>,
    ) -> Result<Self, Flaw>
    where
        'a: 's,
    {
        if let Some(leaf) = leaf_of(class, &state, words) {
            return leaf.map(Self::Leaf);
        }
        Ok(match class {
            Class::Metadata => Self::Metadata(Box::new(Top {
                state_dict: state.required("state_dict_metadata")?.clone(),
                planner: state.optional("planner_data").cloned().unwrap_or(Node::None),
                storage: state.required("storage_data")?.clone(),
                storage_meta: state.optional("storage_meta").cloned().unwrap_or(Node::None),
            })),
            Class::Tensor => {
                let size = extents(state.required("size")?, words)?;
                let dtype = dtype_of(state.required("properties")?, words)?;
                Self::Tensor(Box::new(Tensor { dtype, size, chunks: state.required("chunks")?.clone() }))
            }
            Class::StorageMeta => Self::StorageMeta {
                save_id: match state.optional("save_id") {
                    Some(Node::Str(id)) => Some(id),
                    _ => None,
                },
            },
            _ => return Err(Flaw::corrupt("properties of another form")),
        })
    }
}

/// The leaf that the object of a class with these attributes is; `None` if its class has none.
#[inline]
pub(super) fn leaf_of<'s, 'a: 's>(
    class: Class,
    state: &Attributes<impl Fn(&str) -> Option<&'s Item<'a>>>,
    words: &mut Words<'a>,
) -> Option<Result<Atom, Flaw>> {
    match class {
        Class::Chunk => Some(chunk(state, words)),
        Class::Index => Some(key(state, words)),
        Class::Storage => Some(place(state, words)),
        Class::Bytes => Some(Ok(Atom::Bytes)),
        Class::Metadata | Class::Tensor | Class::Properties | Class::StorageMeta => None,
    }
}

fn chunk<'s, 'a: 's>(
    state: &Attributes<impl Fn(&str) -> Option<&'s Item<'a>>>,
    words: &mut Words<'a>,
) -> Result<Atom, Flaw> {
    Ok(Atom::Chunk {
        offsets: extents(state.required("offsets")?, words)?,
        sizes: extents(state.required("sizes")?, words)?,
    })
}

fn key<'s, 'a: 's>(
    state: &Attributes<impl Fn(&str) -> Option<&'s Item<'a>>>,
    words: &mut Words<'a>,
) -> Result<Atom, Flaw> {
    let Node::Str(fqn) = state.required("fqn")? else {
        return Err(Flaw::corrupt("a storage key without a name"));
    };
    let offset = state.optional("offset").map(|offset| extents(offset, words)).transpose()?;
    let hint = match state.optional("index") {
        Some(Node::Int(index)) => u32::try_from(*index).unwrap_or(u32::MAX),
        _ => u32::MAX,
    };
    let name = words.names.number(fqn).ok_or_else(|| Flaw::corrupt("too many names"))?;
    Ok(Atom::Key { name, offset, hint })
}

fn place<'s, 'a: 's>(
    state: &Attributes<impl Fn(&str) -> Option<&'s Item<'a>>>,
    words: &mut Words<'a>,
) -> Result<Atom, Flaw> {
    let path = match state.required("relative_path")? {
        Node::Str(path) => path,
        other => return Err(Flaw::corrupt(format_args!("{} as the path of a file", other.kind()))),
    };
    let offset = count(state.required("offset")?, "the offset")?;
    let length = count(state.required("length")?, "the length")?;
    let listed = state.optional("transform_descriptors");
    let transforms = listed.map_or(Ok(NO_TRANSFORMS), |listed| transforms(listed, words))?;
    let path = words.paths.number(path).ok_or_else(|| Flaw::corrupt("too many paths"))?;
    Ok(Atom::Place { path, offset, length, transforms })
}

/// The dict that a state is, as what it has under a name.
pub(super) struct Attributes<F>(pub(super) F);

impl<'s, 'a: 's, F: Fn(&str) -> Option<&'s Item<'a>>> Attributes<F> {
    /// What is missing is `None` in Python.
    #[inline(always)]
    fn optional(&self, name: &str) -> Option<&'s Item<'a>> {
        (self.0)(name).filter(|value| !matches!(value, Node::None))
    }

    #[inline(always)]
    fn required(&self, name: &str) -> Result<&'s Item<'a>, Flaw> {
        self.optional(name).ok_or_else(|| missing(name))
    }
}

#[cold]
fn missing(name: &str) -> Flaw {
    Flaw::corrupt(format_args!("an object without {name}"))
}

fn extents<'a>(node: &Item<'a>, words: &mut Words<'a>) -> Result<Extents, Flaw> {
    match node {
        Node::Atom(Atom::Extents(extents)) => Ok(*extents),
        Node::Atom(Atom::Flawed(flaw)) => Err(words.flaw(*flaw)),
        Node::Tuple(items) => words.keep(items.items()),
        Node::List(items) => words.keep(&items.borrow()),
        other => Err(Flaw::corrupt(format_args!("{} as a shape or offset", other.kind()))),
    }
}

/// The state of `TensorProperties` is a tuple: dtype, layout, and more that says nothing of what is stored.
fn properties<'a>(state: &Item<'a>, words: &Words<'a>) -> Result<Object<'a>, Flaw> {
    let Node::Tuple(state) = state else { return Err(Flaw::corrupt("properties of another form")) };
    let [dtype, layout, ..] = &**state.items() else { return Err(Flaw::corrupt("properties without a layout")) };
    match layout {
        Node::Atom(Atom::Strided) => {}
        Node::Atom(Atom::Flawed(flaw)) => return Err(words.flaw(*flaw)),
        other => return Err(Flaw::corrupt(format_args!("{} as a layout", other.kind()))),
    }
    match dtype {
        Node::Atom(Atom::DType(dtype)) => Ok(Object::Leaf(Atom::Properties(*dtype))),
        Node::Atom(Atom::ForeignDType(number)) => {
            let name = FOREIGN_DTYPES.get(usize::from(*number)).unwrap_or(&"?");
            Err(Flaw::Unreadable(format!("the dtype {name}")))
        }
        other => Err(Flaw::corrupt(format_args!("{} as a dtype", other.kind()))),
    }
}

fn dtype_of<'a>(properties: &Item<'a>, words: &Words<'a>) -> Result<DType, Flaw> {
    match leaf(properties) {
        Some(Atom::Properties(dtype)) => Ok(dtype),
        Some(Atom::Flawed(flaw)) => Err(words.flaw(flaw)),
        _ => Err(Flaw::corrupt(format_args!("{} as the properties of a tensor", properties.kind()))),
    }
}

fn count(node: &Item<'_>, what: &str) -> Result<u64, Flaw> {
    match node {
        Node::Int(count) if *count >= 0 => Ok(count.unsigned_abs()),
        Node::Int(count) => Err(Flaw::corrupt(format_args!("{what} is {count}"))),
        other => Err(Flaw::corrupt(format_args!("{what} is {}", other.kind()))),
    }
}

fn transforms<'a>(node: &Item<'a>, words: &mut Words<'a>) -> Result<ListNumber, Flaw> {
    let Node::List(descriptors) = node else {
        return Err(Flaw::corrupt(format_args!("{} as transforms", node.kind())));
    };
    let descriptors = descriptors.borrow();
    let text = |descriptor: &Item<'a>| match descriptor {
        Node::Str(text) => Ok(*text),
        other => Err(Flaw::corrupt(format_args!("{} as a transform", other.kind()))),
    };
    // More layers than anybody has a reason for are refused.
    if descriptors.len() > Transforms::MAX {
        return Err(Flaw::corrupt(format_args!("{} transforms", descriptors.len())));
    }
    let list = descriptors.iter().map(text).collect::<Result<Vec<_>, _>>()?;
    words.transforms.number(&list)
}
