//! New names.

use dcp_types::{DictKey, Segment, StatePath};

/// Gives another beginning to names that begin in a certain way.
#[derive(Clone, Debug)]
pub(super) struct Rename {
    pub(super) old: String,
    new: String,
}

impl Rename {
    pub(super) fn new(old: &str, new: &str) -> Self {
        Self { old: old.to_owned(), new: new.to_owned() }
    }

    /// The new place of what is at this one; `None` if its name is no such.
    ///
    /// Steps with which both old and new beginning begin stay as they are. The rest of the new beginning, with what is left of a key of which
    /// the old one has taken the beginning, is one key: a name is not split at its dots.
    pub(super) fn apply(&self, path: &StatePath) -> Option<StatePath> {
        let steps = path.segments();
        // What is left of the two beginnings; nothing is not the same as an empty key.
        let (mut old, mut new) = (not_empty(&self.old), not_empty(&self.new));
        let mut kept = 0;
        while let (Some(step), Some(rest_of_old), Some(rest_of_new)) = (steps.get(kept), old, new) {
            let text = text(step);
            let (Some(later_old), Some(later_new)) = (after(rest_of_old, &text), after(rest_of_new, &text)) else {
                break;
            };
            (old, new, kept) = (later_old, later_new, kept + 1);
        }
        let (mut taken, mut left_of_key) = (kept, None);
        while let Some(rest) = old {
            let text = text(steps.get(taken)?);
            taken += 1;
            old = match after(rest, &text) {
                Some(later) => later,
                None => {
                    left_of_key = Some(after(&text, rest)??.to_owned());
                    None
                }
            };
        }
        let key: Vec<&str> = new.into_iter().chain(left_of_key.as_deref()).collect();
        let key = (!key.is_empty()).then(|| Segment::Key(DictKey::from(key.join("."))));
        let renamed: Vec<Segment> =
            steps[..kept].iter().cloned().chain(key).chain(steps[taken..].iter().cloned()).collect();
        (!renamed.is_empty()).then(|| StatePath::new(renamed))
    }
}

/// What follows a beginning and its dot, `Some(None)` if nothing does; `None` if the name does not begin so.
fn after<'a>(name: &'a str, beginning: &str) -> Option<Option<&'a str>> {
    match name.strip_prefix(beginning)? {
        "" => Some(None),
        rest => rest.strip_prefix('.').map(Some),
    }
}

fn not_empty(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

fn text(step: &Segment) -> String {
    match step {
        Segment::Key(key) => key.to_string(),
        Segment::Item(number) | Segment::TupleItem(number) => number.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(steps: &[&str]) -> StatePath {
        let step = |step: &&str| match step.strip_prefix('#') {
            Some(number) => Segment::Item(number.parse().expect("number")),
            None => Segment::Key((*step).into()),
        };
        StatePath::new(steps.iter().map(step).collect())
    }

    #[test]
    fn beginnings_are_replaced_step_by_step() {
        type Steps = &'static [&'static str];
        let cases: [(&str, &str, Steps, Option<Steps>); 16] = [
            ("model", "net", &["model", "a.b"], Some(&["net", "a.b"])),
            ("model", "a.b", &["model", "w"], Some(&["a.b", "w"])),
            ("model", "", &["model", "w"], Some(&["w"])),
            ("", "model", &["w"], Some(&["model", "w"])),
            ("", "model", &["model", "w"], Some(&["model", "model", "w"])),
            ("model.a", "model.x", &["model", "a.b"], Some(&["model", "x.b"])),
            ("model.module", "model", &["model", "module.w"], Some(&["model", "w"])),
            ("model.a.b", "c", &["model", "a.b.w"], Some(&["c.w"])),
            ("model.a.b", "c", &["model", "a", "b", "w"], Some(&["c", "w"])),
            ("model.w", "model.v", &["model", "w"], Some(&["model", "v"])),
            ("xs.1", "ys", &["xs", "#1", "w"], Some(&["ys", "w"])),
            ("xs.1", "xs.1.v", &["xs", "#1", "w"], Some(&["xs", "#1", "v", "w"])),
            ("mod", "x", &["model", "w"], None),
            ("model.w.x", "y", &["model", "w"], None),
            ("model.a", "x", &["model", "ab"], None),
            ("model", "", &["model"], None),
        ];
        for (old, new, from, to) in cases {
            let renamed = Rename::new(old, new).apply(&path(from));
            assert_eq!(renamed, to.map(path), "{old}={new} of {from:?}");
        }
    }
}
