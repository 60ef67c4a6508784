//! The order of names in which `step-9` comes before `step-10`.

use std::cmp::Ordering;

/// Compares names, in which runs of digits are numbers.
pub(super) fn compare(mut one: &str, mut other: &str) -> Ordering {
    loop {
        let (left, right) = (number(one), number(other));
        let order = match (left, right) {
            (Some((left, after)), Some((right, behind))) => {
                (one, other) = (after, behind);
                // Of numbers without leading zeros the longer one is the larger one, however long.
                (left.len(), left).cmp(&(right.len(), right))
            }
            _ => match (one.chars().next(), other.chars().next()) {
                (Some(left), Some(right)) => {
                    (one, other) = (&one[left.len_utf8()..], &other[right.len_utf8()..]);
                    left.cmp(&right)
                }
                (left, right) => return left.cmp(&right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The digits at the start of a text, but for leading zeros, and what follows them.
fn number(text: &str) -> Option<(&str, &str)> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (digits, rest) = text.split_at(digits);
    (!digits.is_empty()).then(|| (digits.trim_start_matches('0'), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_as_numbers() {
        let sorted = ["a", "a-2-x", "a-010", "a-11", "a-99999999999999999999", "a-100000000000000000000", "b1"];
        for pair in sorted.windows(2) {
            assert_eq!(compare(pair[0], pair[1]), Ordering::Less, "{pair:?}");
            assert_eq!(compare(pair[1], pair[0]), Ordering::Greater, "{pair:?}");
        }
        assert_eq!(compare("step-007", "step-7"), Ordering::Equal);
    }
}
