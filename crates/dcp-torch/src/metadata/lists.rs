//! The lists of transforms that items went through: many items, few lists.

use super::flaw::Flaw;

/// The number of a list.
pub(super) type ListNumber = u8;
/// The list without transforms.
pub(super) const NO_TRANSFORMS: ListNumber = 0;

/// Lists by number. Each is of descriptors, in the order in which they are undone.
#[derive(Debug)]
pub(super) struct Lists<T>(Vec<Vec<T>>);

impl<T: AsRef<str>> Lists<T> {
    /// The longest descriptor: no name and version are longer.
    const LONGEST: usize = 200;

    /// The number of a list, which is added if it is new.
    pub(super) fn number<'t>(&mut self, list: &[&'t str]) -> Result<ListNumber, Flaw>
    where
        T: From<&'t str>,
    {
        if let Some(long) = list.iter().map(|text| text.len()).find(|length| *length > Self::LONGEST) {
            return Err(Flaw::corrupt(format_args!("the descriptor of a transform has {long} bytes")));
        }
        let is_it = |known: &Vec<T>| known.iter().map(AsRef::as_ref).eq(list.iter().copied());
        if let Some(number) = self.0.iter().position(is_it) {
            return Ok(u8::try_from(number).unwrap_or(u8::MAX));
        }
        let number = u8::try_from(self.0.len()).map_err(|_| Flaw::corrupt("too many different lists of transforms"))?;
        self.0.push(list.iter().map(|text| T::from(text)).collect());
        Ok(number)
    }

    pub(super) fn get(&self, number: ListNumber) -> &[T] {
        self.0.get(usize::from(number)).map_or(&[], Vec::as_slice)
    }
}

impl<T> Default for Lists<T> {
    fn default() -> Self {
        Self(vec![Vec::new()])
    }
}
