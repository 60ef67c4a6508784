//! Placements on the command line.

use dcp::Placement;

/// How the tensors lie whose names match.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) glob: String,
    pub(crate) placements: Vec<Placement>,
}

/// The rule that `*.bias=replicate,shard(0)` stands for.
pub(crate) fn parse_rule(text: &str) -> Result<Rule, String> {
    // A name may have a = in it, a placement has none.
    let (glob, list) = text.rsplit_once('=').ok_or("there is no = between glob and placements")?;
    let placements = split(list).into_iter().map(parse).collect::<Result<_, _>>()?;
    Ok(Rule { glob: glob.to_owned(), placements })
}

/// The parts between commas that are not in parentheses.
fn split(list: &str) -> Vec<&str> {
    let mut depth = 0;
    list.split(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        c == ',' && depth == 0
    })
    .collect()
}

fn parse(text: &str) -> Result<Placement, String> {
    let fault = || format!("{text:?} is none of replicate, shard(D), strided_shard(D,F)");
    let text = text.trim();
    if text == "replicate" {
        return Ok(Placement::Replicate);
    }
    let (name, rest) = text.split_once('(').ok_or_else(fault)?;
    let numbers = rest.strip_suffix(')').ok_or_else(fault)?.split(',').map(|number| number.trim().parse());
    let numbers: Vec<u32> = numbers.collect::<Result<_, _>>().map_err(|_| fault())?;
    match (name, numbers.as_slice()) {
        ("shard", &[dim]) => Ok(Placement::Shard(dim)),
        ("strided_shard", &[dim, split_factor]) => Ok(Placement::StridedShard { dim, split_factor }),
        _ => Err(fault()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_read() {
        let rule = parse_rule("*.a=b.weight=replicate, shard(1),strided_shard(0, 4)").expect("a rule");
        let strided = Placement::StridedShard { dim: 0, split_factor: 4 };
        assert_eq!(rule.glob, "*.a=b.weight");
        assert_eq!(rule.placements, [Placement::Replicate, Placement::Shard(1), strided]);
        for bad in ["*", "*=", "*=shard", "*=shard()", "*=shard(x)", "*=shard(0", "*=shard(0,1)", "*=Replicate()"] {
            assert!(parse_rule(bad).is_err(), "{bad}");
        }
    }
}
