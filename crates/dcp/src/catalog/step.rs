//! The step that a name tells.

/// The step of the training that the name of a checkpoint tells: the number after `step`, wherever that is innermost; else the one number
/// that there is in the last component.
pub(super) fn of(name: &str) -> Option<u64> {
    let components = || name.rsplit('/');
    components().find_map(after_step).or_else(|| only_number(components().next()?))
}

/// The number after `step` and what may stand between them.
fn after_step(component: &str) -> Option<u64> {
    let lower = component.to_lowercase();
    let after = lower.rsplit("step").next().filter(|after| after.len() < lower.len())?;
    let rest = after.trim_start_matches(['s', '-', '_', '=', ' ', '.']);
    let digits = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest[..digits].parse().ok()
}

fn only_number(component: &str) -> Option<u64> {
    let mut numbers = component.split(|c: char| !c.is_ascii_digit()).filter(|digits| !digits.is_empty());
    let number = numbers.next()?.parse().ok()?;
    numbers.next().is_none().then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_names_tell_their_step() {
        let cases = [
            ("step-100", Some(100)),
            ("run-7/step-100", Some(100)),
            ("checkpoint-100", Some(100)),
            ("epoch=1-step=100", Some(100)),
            ("epoch=1-step=100.ckpt", Some(100)),
            ("global_step2000", Some(2000)),
            ("iter_0000050", Some(50)),
            ("step-100/model.pt", Some(100)),
            ("STEP_5", Some(5)),
            ("100", Some(100)),
            ("step-99999999999999999999999", None),
            ("v1.5", None),
            ("epoch=3-loss=0.5", None),
            ("run-7/latest", None),
            ("step", None),
            ("", None),
        ];
        for (name, step) in cases {
            assert_eq!(of(name), step, "{name}");
        }
    }
}
