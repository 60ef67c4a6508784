//! Two machines as one.

use dcp_storage::{Ask, Locator, Reply, Step, StorageError};

/// Finds some items by one machine, then the others by another.
pub(super) struct Join<A, B> {
    first: A,
    second: B,
    /// For each item, whether the second machine finds it.
    by_second: Vec<bool>,
    found: Option<Vec<Locator>>,
}

impl<A, B> Join<A, B> {
    pub(super) fn new(first: A, second: B, by_second: Vec<bool>) -> Self {
        Self { first, second, by_second, found: None }
    }
}

impl<A, B> Ask for Join<A, B>
where
    A: Ask<Output = Vec<Locator>>,
    B: Ask<Output = Vec<Locator>>,
{
    type Output = Vec<Locator>;

    fn next(&mut self, mut replies: Vec<Reply>) -> Result<Step<Vec<Locator>>, StorageError> {
        if self.found.is_none() {
            match self.first.next(std::mem::take(&mut replies))? {
                Step::Needs(needs) => return Ok(Step::Needs(needs)),
                Step::Done(found) => self.found = Some(found),
            }
        }
        match self.second.next(replies)? {
            Step::Needs(needs) => Ok(Step::Needs(needs)),
            Step::Done(others) => {
                let (mut found, mut others) = (self.found.take().into_iter().flatten(), others.into_iter());
                let next = |&by_second: &bool| if by_second { others.next() } else { found.next() };
                Ok(Step::Done(self.by_second.iter().filter_map(next).collect()))
            }
        }
    }
}
