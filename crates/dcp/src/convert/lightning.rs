//! How Lightning arranges a state in one file.

use dcp_types::{DictKey, Metadata, Segment, StatePath};

use super::select::{Chosen, distinct};
use crate::Error;

/// Which part of Lightning loads a file of `torch.save`: they want the state arranged differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LightningForm {
    /// `Fabric.load`: the state as it was given to `Fabric.save`.
    Fabric,
    /// `Trainer.fit(ckpt_path=...)`: the model is at `state_dict`, and the states of optimizers, which are at `optimizer_0` and so on in a
    /// checkpoint of several files, are the list `optimizer_states`.
    Trainer,
}

/// How entries are to be arranged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Arrangement {
    /// As they are.
    #[default]
    Kept,
    /// In the form of the part of Lightning that has saved them.
    Told,
    /// In this form.
    Lightning(LightningForm),
}

impl Arrangement {
    /// Gives entries their places, and says which form that is.
    pub(super) fn arrange(
        self,
        chosen: &mut [Chosen],
        metadata: &Metadata,
        location: &str,
    ) -> Result<Option<LightningForm>, Error> {
        let form = match self {
            Self::Kept => return Ok(None),
            Self::Told => LightningForm::of(chosen),
            Self::Lightning(form) => form,
        };
        if form == LightningForm::Trainer {
            let fault = |reason| Error::NotOfTrainer { location: location.to_owned(), reason };
            for_trainer(chosen).map_err(fault)?;
            distinct(chosen, metadata)?;
        }
        Ok(Some(form))
    }
}

const MODEL: &str = "model";
const STATE_DICT: &str = "state_dict";
const OPTIMIZER: &str = "optimizer_";
const OPTIMIZERS: &str = "optimizer_states";
/// What the Trainer, and nobody else, puts into a state.
const VERSION: &str = "pytorch-lightning_version";

impl LightningForm {
    /// The form of what has saved these entries.
    fn of(chosen: &[Chosen]) -> Self {
        let has = |key| chosen.iter().any(|chosen| first(&chosen.path) == Some(key));
        if has(VERSION) && (has(STATE_DICT) || has(MODEL)) { Self::Trainer } else { Self::Fabric }
    }
}

/// Moves the model and the optimizers where the Trainer looks for them, behind everything else.
fn for_trainer(chosen: &mut [Chosen]) -> Result<(), String> {
    let has = |key| chosen.iter().any(|chosen| first(&chosen.path) == Some(key));
    // `FSDPStrategy` calls it one way, `ModelParallelStrategy` the other.
    let model = [STATE_DICT, MODEL].into_iter().find(|key| has(key));
    let model = model.ok_or_else(|| format!("it has neither {MODEL:?} nor {STATE_DICT:?}"))?;
    check_numbers(chosen, has(OPTIMIZERS))?;
    for chosen in &mut *chosen {
        if first(&chosen.path) == Some(model) {
            chosen.path = moved(&chosen.path, vec![key(STATE_DICT)]);
        } else if let Some(number) = optimizer(&chosen.path) {
            chosen.path = moved(&chosen.path, vec![key(OPTIMIZERS), Segment::Item(number)]);
        }
    }
    chosen.sort_by_key(|chosen| match first(&chosen.path) {
        Some(OPTIMIZERS) => 2,
        Some(STATE_DICT) => 1,
        _ => 0,
    });
    Ok(())
}

/// Refuses optimizers that make no list: what follows a gap would get the number of another one.
fn check_numbers(chosen: &[Chosen], has_list: bool) -> Result<(), String> {
    let mut numbers: Vec<u32> = chosen.iter().filter_map(|chosen| optimizer(&chosen.path)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    if let (true, Some(number)) = (has_list, numbers.first()) {
        return Err(format!("it has {OPTIMIZER}{number} as well as {OPTIMIZERS:?}"));
    }
    match (0..).zip(numbers).find(|(expected, number)| expected != number) {
        Some((missing, number)) => Err(format!("it has {OPTIMIZER}{number}, but no {OPTIMIZER}{missing}")),
        None => Ok(()),
    }
}

/// Which optimizer's state an entry is of.
fn optimizer(path: &StatePath) -> Option<u32> {
    let number = first(path)?.strip_prefix(OPTIMIZER)?;
    number.parse().ok().filter(|parsed: &u32| parsed.to_string() == number)
}

/// The key with which a path begins.
fn first(path: &StatePath) -> Option<&str> {
    match path.segments().first() {
        Some(Segment::Key(DictKey::Str(key))) => Some(key),
        _ => None,
    }
}

fn key(text: &str) -> Segment {
    Segment::Key(text.into())
}

/// The path with another beginning in place of its first step.
fn moved(path: &StatePath, mut beginning: Vec<Segment>) -> StatePath {
    beginning.extend(path.segments().iter().skip(1).cloned());
    StatePath::new(beginning)
}

#[cfg(test)]
mod tests {
    use dcp_types::{Entry, EntryKind};

    use super::*;

    /// The places that entries get; their steps stand with slashes between them.
    fn arranged(arrangement: Arrangement, paths: &[&str]) -> Result<(Option<LightningForm>, Vec<StatePath>), Error> {
        let entry = |path: &&str| Entry { path: place(path), kind: EntryKind::Value };
        let metadata = Metadata::new(paths.iter().map(entry)).expect("distinct");
        let entries = metadata.entries().enumerate();
        let mut chosen: Vec<Chosen> =
            entries.map(|(entry, (_, leaf))| Chosen { entry, path: leaf.path.clone() }).collect();
        let form = arrangement.arrange(&mut chosen, &metadata, "here")?;
        Ok((form, chosen.into_iter().map(|chosen| chosen.path).collect()))
    }

    fn place(path: &str) -> StatePath {
        let step = |step: &str| match step.strip_prefix('#') {
            Some(number) => Segment::Item(number.parse().expect("a number")),
            None => key(step),
        };
        StatePath::new(path.split('/').map(step).collect())
    }

    fn places(paths: &[&str]) -> Vec<StatePath> {
        paths.iter().map(|path| place(path)).collect()
    }

    const FSDP: [&str; 6] = [
        "model/net.0.weight",
        "optimizer_1/state/net.0.weight/step",
        "optimizer_0/param_groups/#0/lr",
        "optimizer_0x/y",
        "epoch",
        VERSION,
    ];

    #[test]
    fn what_the_trainer_has_saved_is_arranged_for_it() {
        let expected = places(&[
            "optimizer_0x/y",
            "epoch",
            VERSION,
            "state_dict/net.0.weight",
            "optimizer_states/#1/state/net.0.weight/step",
            "optimizer_states/#0/param_groups/#0/lr",
        ]);
        let model_parallel = FSDP.map(|path| if path.starts_with("model") { "state_dict/net.0.weight" } else { path });
        for paths in [FSDP, model_parallel] {
            let (form, arranged) = arranged(Arrangement::Told, &paths).expect("arranged");
            assert_eq!((form, &arranged), (Some(LightningForm::Trainer), &expected));
        }
    }

    #[test]
    fn everything_else_stays_where_it_is() {
        let fabric = &FSDP[..5];
        for paths in [fabric, &[VERSION, "epoch"]] {
            let (form, arranged) = arranged(Arrangement::Told, paths).expect("arranged");
            assert_eq!((form, arranged), (Some(LightningForm::Fabric), places(paths)));
        }
        let forced = Arrangement::Lightning(LightningForm::Fabric);
        assert_eq!(arranged(forced, &FSDP).expect("arranged").1, places(&FSDP));
        let (form, kept) = arranged(Arrangement::Kept, &FSDP).expect("arranged");
        assert_eq!((form, kept), (None, places(&FSDP)));
    }

    #[test]
    fn a_value_of_the_users_that_is_called_model_stays() {
        let paths = ["state_dict/w", "model", VERSION];
        let (_, arranged) = arranged(Arrangement::Told, &paths).expect("arranged");
        assert_eq!(arranged, places(&["model", VERSION, "state_dict/w"]));
    }

    #[test]
    fn what_makes_no_trainers_checkpoint_is_refused() {
        let cases: [(&[&str], &str); 4] = [
            (&["net/w", "epoch"], "neither"),
            (&["model/w", "optimizer_1/state/w"], "no optimizer_0"),
            (&["model/w", "optimizer_0/state/w", "optimizer_2/state/w"], "no optimizer_1"),
            (&["model/w", "optimizer_0/state/w", "optimizer_states/#0/state"], "as well as"),
        ];
        for (paths, with) in cases {
            match arranged(Arrangement::Lightning(LightningForm::Trainer), paths) {
                Err(Error::NotOfTrainer { location, reason }) => {
                    assert_eq!(location, "here");
                    assert!(reason.contains(with), "{reason}");
                }
                other => panic!("{paths:?}: {other:?}"),
            }
        }
    }

    #[test]
    fn no_name_is_given_twice() {
        let outcome = arranged(Arrangement::Lightning(LightningForm::Trainer), &["model/w", "state_dict.w"]);
        assert!(matches!(&outcome, Err(Error::SameName { name, .. }) if name == "state_dict.w"), "{outcome:?}");
    }
}
