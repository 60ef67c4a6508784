//! Names and paths, which come again and again.

use std::collections::HashMap;

/// Different texts, numbered as they come.
#[derive(Debug, Default)]
pub(super) struct Texts<'a> {
    listed: Vec<&'a str>,
    numbers: HashMap<&'a str, u32>,
    /// The number that was given last.
    last: u32,
}

impl<'a> Texts<'a> {
    /// The number of a text. `None` if there are too many.
    #[inline]
    pub(super) fn number(&mut self, text: &'a str) -> Option<u32> {
        let last = self.last as usize;
        // Items of one file stand together, and every rank lists the entries in their order.
        self.last = match self.listed.get(last..) {
            Some([same, ..]) if std::ptr::eq(*same, text) => self.last,
            Some([_, next, ..]) if *next == text => self.last + 1,
            _ => self.look_up(text)?,
        };
        Some(self.last)
    }

    fn look_up(&mut self, text: &'a str) -> Option<u32> {
        if let Some(known) = self.numbers.get(text) {
            return Some(*known);
        }
        let number = u32::try_from(self.listed.len()).ok()?;
        self.listed.push(text);
        self.numbers.insert(text, number);
        Some(number)
    }

    /// The texts, in the order of their numbers.
    pub(super) fn listed(&self) -> &[&'a str] {
        &self.listed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_texts_have_one_number() {
        let pickle = "abcabxa";
        let numbers = |texts: &mut Texts<'static>| -> Vec<_> {
            (0..pickle.len()).filter_map(|at| texts.number(&pickle[at..=at])).collect()
        };
        let mut texts = Texts::default();
        assert_eq!(numbers(&mut texts), [0, 1, 2, 0, 1, 3, 0]);
        assert_eq!(numbers(&mut texts), [0, 1, 2, 0, 1, 3, 0]);
        assert_eq!(texts.listed(), ["a", "b", "c", "x"]);
    }
}
