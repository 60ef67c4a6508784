//! The place of an entry in the state tree.

use std::collections::HashMap;

use dcp_types::{MAX_DEPTH, Segment, StatePath};

use super::flaw::Flaw;
use super::words::Words;
use crate::pickle::Node;

/// The path of each flat name, as the planner has noted it.
pub(super) type Planner<'a> = HashMap<&'a str, Node<'a, Words<'a>>>;

/// Without a planner's notes, names are keys.
pub(super) fn planner<'a>(planner_data: &Node<'a, Words<'a>>) -> Result<Option<Planner<'a>>, Flaw> {
    let pairs = match planner_data {
        Node::None => return Ok(None),
        Node::Dict(pairs) => pairs.borrow(),
        other => return Err(Flaw::corrupt(format_args!("it is {}", other.kind()))),
    };
    let mut planner = Planner::with_capacity(pairs.len());
    for (name, path) in pairs.iter() {
        let Node::Str(name) = name else { return Err(Flaw::corrupt(format_args!("{} as a name", name.kind()))) };
        planner.insert(name, path.clone());
    }
    Ok(Some(planner))
}

/// The place of the entry with a name. Two names cannot have one place: each must be its path, joined by dots.
pub(super) fn path_of<'a>(name: &str, planner: Option<&Planner<'a>>) -> Result<StatePath, Flaw> {
    let Some(path) = planner.and_then(|planner| planner.get(name)) else {
        return Ok(StatePath::new(vec![Segment::Key(name.into())]));
    };
    let Node::Tuple(steps) = path else { return Err(Flaw::corrupt(format_args!("its path is {}", path.kind()))) };
    if steps.items().len() > MAX_DEPTH {
        return Err(Flaw::corrupt(format_args!("its path has {} steps", steps.items().len())));
    }
    let other = || Flaw::corrupt("its path is another one's");
    let mut segments = Vec::with_capacity(steps.items().len());
    let mut rest = name;
    for (number, step) in steps.items().iter().enumerate() {
        if number > 0 {
            rest = rest.strip_prefix('.').ok_or_else(other)?;
        }
        // Compared before anything is copied: a long key may be shared by many paths.
        let (segment, after) = match step {
            Node::Str(key) => {
                let after = rest.strip_prefix(key).ok_or_else(other)?;
                (Segment::Key((*key).into()), after)
            }
            Node::Int(index) => {
                let index = u32::try_from(*index)
                    .map_err(|_| Flaw::corrupt(format_args!("its path has the list index {index}")))?;
                (Segment::Item(index), rest.strip_prefix(&index.to_string()).ok_or_else(other)?)
            }
            step => return Err(Flaw::corrupt(format_args!("its path has {} in it", step.kind()))),
        };
        segments.push(segment);
        rest = after;
    }
    if rest.is_empty() { Ok(StatePath::new(segments)) } else { Err(other()) }
}
