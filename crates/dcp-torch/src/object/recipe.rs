//! What a pickle does, kept instead of done: for objects that only Python can make. From this they are pickled again, in another
//! pickle.

use std::collections::HashMap;

use indexmap::IndexSet;

use crate::pickle::{Fault, Node, Nodes, Pair, PickleError, Protocol, Vocabulary, unpickle};

pub(super) type RecipeNode<'a> = Node<'a, Recipes<'a>>;

/// The vocabulary to which every global is but a name. It finds nothing wrong with what is called with what.
#[derive(Debug)]
pub(super) struct Recipes<'a> {
    names: IndexSet<Name<'a>>,
    protocol: Protocol,
    /// Calls whose results nobody has, by the address of their first argument: they are made for what they do to that.
    effects: HashMap<usize, Vec<RecipeNode<'a>>>,
}

/// The name of a global.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Name<'a> {
    pub(super) module: &'a str,
    pub(super) name: &'a str,
    /// How it is to be understood.
    pub(super) protocol: Protocol,
}

/// A global: the number of its name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Named(usize);

/// How an object is made.
#[derive(Debug)]
pub(super) struct Recipe<'a> {
    pub(super) made: Made<'a>,
    /// What is done to it afterwards, in order.
    pub(super) steps: Vec<Step<'a>>,
}

#[derive(Debug)]
pub(super) enum Made<'a> {
    /// `callable(*args)`.
    Call(RecipeNode<'a>, Nodes<'a, Recipes<'a>>),
    /// `class.__new__(class, *args)`.
    New(RecipeNode<'a>, Nodes<'a, Recipes<'a>>),
    /// The same with a dict of keyword arguments.
    NewWith(Box<(RecipeNode<'a>, Nodes<'a, Recipes<'a>>, RecipeNode<'a>)>),
    /// What a persistent id stands for.
    Persistent(RecipeNode<'a>),
}

#[derive(Debug)]
pub(super) enum Step<'a> {
    SetState(RecipeNode<'a>),
    Append(Vec<RecipeNode<'a>>),
    SetItems(Vec<Pair<'a, Recipes<'a>>>),
}

impl<'a> Recipes<'a> {
    /// What a pickle builds.
    pub(super) fn read(pickle: &'a [u8]) -> Result<(RecipeNode<'a>, Self), PickleError> {
        let mut recipes = Self { names: IndexSet::new(), protocol: Protocol::Two, effects: HashMap::new() };
        let (root, _) = unpickle(pickle, &mut recipes)?;
        Ok((root, recipes))
    }

    pub(super) fn name(&self, Named(number): Named) -> Option<Name<'a>> {
        self.names.get_index(number).copied()
    }

    /// What is called for what it does to the node of this address, in order.
    pub(super) fn effects(&self, address: usize) -> &[RecipeNode<'a>] {
        self.effects.get(&address).map_or(&[], Vec::as_slice)
    }
}

impl<'a> Vocabulary<'a> for Recipes<'a> {
    type Atom = Named;
    type Object = Recipe<'a>;

    fn protocol(&mut self, version: u8) {
        // Protocol 3 has the names of Python 3, as 4 has; that it does not have dotted ones makes no difference to those that it has.
        self.protocol = if version < 3 { Protocol::Two } else { Protocol::Four };
    }

    fn global(&mut self, module: &'a str, name: &'a str) -> Result<Named, Box<Fault>> {
        let (number, _) = self.names.insert_full(Name { module, name, protocol: self.protocol });
        Ok(Named(number))
    }

    fn call(&mut self, callable: &RecipeNode<'a>, args: Nodes<'a, Self>) -> Result<RecipeNode<'a>, Box<Fault>> {
        Ok(Made::Call(callable.clone(), args).into_node())
    }

    fn make(
        &mut self,
        class: &RecipeNode<'a>,
        args: Nodes<'a, Self>,
        kwargs: Option<RecipeNode<'a>>,
    ) -> Result<RecipeNode<'a>, Box<Fault>> {
        let made = match kwargs {
            None => Made::New(class.clone(), args),
            Some(kwargs) => Made::NewWith(Box::new((class.clone(), args, kwargs))),
        };
        Ok(made.into_node())
    }

    fn set_state(&mut self, object: &mut Recipe<'a>, state: &RecipeNode<'a>) -> Result<(), Box<Fault>> {
        object.steps.push(Step::SetState(state.clone()));
        Ok(())
    }

    fn append(&mut self, object: &mut Recipe<'a>, items: Vec<RecipeNode<'a>>) -> Result<(), Box<Fault>> {
        match object.steps.last_mut() {
            Some(Step::Append(there)) => there.extend(items),
            _ => object.steps.push(Step::Append(items)),
        }
        Ok(())
    }

    fn set_items(&mut self, object: &mut Recipe<'a>, pairs: Vec<Pair<'a, Self>>) -> Result<(), Box<Fault>> {
        match object.steps.last_mut() {
            Some(Step::SetItems(there)) => there.extend(pairs),
            _ => object.steps.push(Step::SetItems(pairs)),
        }
        Ok(())
    }

    fn discard(&mut self, node: RecipeNode<'a>) -> Result<(), Box<Fault>> {
        let Node::Object(object) = &node else { return Ok(()) };
        let target = match &object.borrow().made {
            Made::Call(_, args) if object.is_unique() => args.first().and_then(Node::address),
            _ => return Ok(()),
        };
        let target = target.ok_or_else(|| Fault::unsupported("a call that is made for nothing"))?;
        self.effects.entry(target).or_default().push(node);
        Ok(())
    }

    fn persistent(&mut self, id: RecipeNode<'a>) -> Result<RecipeNode<'a>, Box<Fault>> {
        Ok(Made::Persistent(id).into_node())
    }
}

impl<'a> Made<'a> {
    fn into_node(self) -> RecipeNode<'a> {
        Node::object(Recipe { made: self, steps: Vec::new() })
    }
}
