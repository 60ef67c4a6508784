//! Cuts objects out of the pickle of a state, so that each stands by itself.

use std::collections::HashMap;

use super::read::ObjectFault;
use super::recipe::{Made, RecipeNode, Recipes, Step};
use super::splice::{Splice, Stored};
use super::tree::Position;
use crate::pickle::{Node, Pickler, Protocol};

/// An object by itself.
#[derive(Debug)]
pub(crate) struct CutObject {
    /// Names storages by their numbers.
    pub(crate) pickle: Vec<u8>,
    /// By number.
    pub(crate) storages: Vec<CutStorage>,
}

/// A storage of an object that was cut out.
#[derive(Debug)]
pub(crate) struct CutStorage {
    /// Its key where the object comes from.
    pub(crate) key: Box<str>,
    /// In bytes, as far as the pickle tells.
    pub(crate) length: Option<u64>,
}

/// Cuts out the first of these objects, and the next ones as long as their pickles together do not take more than so many bytes. For those
/// that cannot stand by themselves, there is a reason.
pub(crate) fn cut<'p>(
    pickle: &[u8],
    objects: impl IntoIterator<Item = &'p Position>,
    budget: usize,
) -> Result<Vec<Result<CutObject, String>>, ObjectFault> {
    let (root, recipes) = Recipes::read(pickle)?;
    let (mut cut, mut spent) = (Vec::new(), 0);
    for Position(position) in objects {
        let object = position.iter().try_fold(root.clone(), |node, &number| item(&node, number as usize));
        let Some(object) = object else { return Err(ObjectFault::new("an object is not where it was")) };
        let one = cut_one(&object, &recipes);
        spent += one.as_ref().map_or(0, |one| one.pickle.len());
        if spent > budget && !cut.is_empty() {
            break;
        }
        cut.push(one);
    }
    Ok(cut)
}

fn cut_one<'a>(object: &RecipeNode<'a>, recipes: &Recipes<'a>) -> Result<CutObject, String> {
    let mut pickler = Pickler::new(Protocol::Two);
    let (mut storages, mut numbers) = (Vec::new(), HashMap::new());
    let mut number = |Stored { key, length }: Stored<'a>| {
        Ok(*numbers.entry(key).or_insert_with(|| {
            storages.push(CutStorage { key: key.into(), length });
            storages.len() - 1
        }))
    };
    let written = Splice::new(recipes, &mut pickler, &mut number).node(object);
    written.map_err(|fault| format!("an object that cannot be taken out of its file: {fault}"))?;
    Ok(CutObject { pickle: pickler.finish(), storages })
}

/// The item of this number in a list, dict, or `OrderedDict`.
fn item<'a>(node: &RecipeNode<'a>, number: usize) -> Option<RecipeNode<'a>> {
    match node {
        Node::List(items) => items.borrow().get(number).cloned(),
        Node::Dict(pairs) => pairs.borrow().get(number).map(|(_, item)| item.clone()),
        Node::Object(recipe) => {
            let recipe = recipe.borrow();
            let (Made::Call(_, args) | Made::New(_, args)) = &recipe.made else { return None };
            let mut number = number;
            if let [Node::List(first)] = &args[..] {
                let first = first.borrow();
                match first.get(number) {
                    Some(Node::Tuple(pair)) => return pair.items().get(1).cloned(),
                    Some(_) => return None,
                    None => number -= first.len(),
                }
            }
            recipe.steps.iter().find_map(|step| match step {
                Step::SetItems(pairs) => match pairs.get(number) {
                    Some((_, item)) => Some(item.clone()),
                    None => {
                        number -= pairs.len();
                        None
                    }
                },
                _ => None,
            })
        }
        _ => None,
    }
}
