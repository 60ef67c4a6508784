//! When two numbers are the same, and how far apart others are.

/// What is allowed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) rtol: f64,
    pub(super) atol: f64,
    /// Whether two NaNs are the same, whatever their bits.
    pub(super) equal_nan: bool,
}

/// How two numbers whose bits differ (or that are NaN) compare.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Gap {
    Same,
    /// Either or both are not a number.
    Nan,
    By {
        abs: f64,
        rel: f64,
    },
}

impl Rule {
    pub(super) fn is_exact(self) -> bool {
        self.rtol == 0.0 && self.atol == 0.0
    }

    pub(super) fn reals(self, left: f64, right: f64) -> Gap {
        self.judge(
            [left.is_nan(), right.is_nan()],
            left.is_finite() && right.is_finite(),
            away(left, right),
            right.abs(),
        )
    }

    pub(super) fn integers(self, left: i128, right: i128) -> Gap {
        self.judge([false; 2], true, left.abs_diff(right) as f64, right.unsigned_abs() as f64)
    }

    pub(super) fn complex(self, left: [f64; 2], right: [f64; 2]) -> Gap {
        let is_nan = |parts: [f64; 2]| parts.iter().any(|part| part.is_nan());
        let are_finite = left.iter().chain(&right).all(|part| part.is_finite());
        let abs = away(left[0], right[0]).hypot(away(left[1], right[1]));
        self.judge([is_nan(left), is_nan(right)], are_finite, abs, right[0].hypot(right[1]))
    }

    fn judge(self, are_nan: [bool; 2], are_finite: bool, abs: f64, magnitude: f64) -> Gap {
        match are_nan {
            [true, true] if self.equal_nan => return Gap::Same,
            [false, false] => {}
            _ => return Gap::Nan,
        }
        // What is infinite is near nothing but itself.
        let is_close = abs == 0.0 || (are_finite && abs <= self.atol + self.rtol * magnitude);
        if is_close && !self.is_exact() {
            return Gap::Same;
        }
        let rel = match abs {
            0.0 => 0.0,
            abs if abs.is_infinite() => abs,
            abs => abs / magnitude,
        };
        Gap::By { abs, rel }
    }
}

fn away(left: f64, right: f64) -> f64 {
    // Infinities that are the same are not apart.
    if left == right { 0.0 } else { (left - right).abs() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INF: f64 = f64::INFINITY;

    fn rule(rtol: f64, atol: f64) -> Rule {
        Rule { rtol, atol, equal_nan: true }
    }

    fn by(abs: f64, rel: f64) -> Gap {
        Gap::By { abs, rel }
    }

    #[test]
    fn differences_are_absolute_and_relative_to_the_right() {
        let exact = rule(0.0, 0.0);
        assert_eq!(exact.reals(1.0, 4.0), by(3.0, 0.75));
        assert_eq!(exact.reals(4.0, 1.0), by(3.0, 3.0));
        assert_eq!(exact.reals(-0.5, 0.0), by(0.5, INF));
        assert_eq!(exact.reals(-0.0, 0.0), by(0.0, 0.0));
        assert_eq!(exact.reals(INF, 1.0), by(INF, INF));
        assert_eq!(exact.reals(1.0, -INF), by(INF, INF));
        assert_eq!(exact.reals(f64::MAX, f64::MIN), by(INF, INF));
        assert_eq!(exact.complex([3.0, 4.0], [0.0, 0.0]), by(5.0, INF));
        assert_eq!(exact.complex([3.0, 4.0], [6.0, 8.0]), by(5.0, 0.5));
        assert_eq!(exact.complex([INF, 1.0], [INF, 3.0]), by(2.0, 0.0));
        // Through f64 these two would be one.
        assert_eq!(exact.integers(i128::from(u64::MAX), i128::from(u64::MAX) - 1), by(1.0, 1.0 / u64::MAX as f64));
        assert_eq!(
            exact.integers(i64::MIN.into(), i64::MAX.into()),
            by(u64::MAX as f64, u64::MAX as f64 / i64::MAX as f64)
        );
    }

    #[test]
    fn tolerances_are_those_of_isclose() {
        assert_eq!(rule(0.0, 0.5).reals(1.0, 1.5), Gap::Same);
        assert_eq!(rule(0.0, 0.5).reals(1.0, 1.75), by(0.75, 0.75 / 1.75));
        // Relative to the right only.
        assert_eq!(rule(0.5, 0.0).reals(1.0, 2.0), Gap::Same);
        assert_eq!(rule(0.5, 0.0).reals(2.0, 1.0), by(1.0, 1.0));
        assert_eq!(rule(0.5, 0.25).reals(1.75, 1.0), Gap::Same);
        assert_eq!(rule(0.0, f64::MIN_POSITIVE).reals(-0.0, 0.0), Gap::Same);
        assert_eq!(rule(0.5, 0.0).integers(-3, -2), Gap::Same);
        assert_eq!(rule(0.5, 0.0).complex([0.0, 3.0], [0.0, 2.0]), Gap::Same);
        for tolerant in [rule(1.0, 0.0), rule(0.0, f64::MAX)] {
            assert_eq!(tolerant.reals(INF, INF), Gap::Same);
            assert_eq!(tolerant.reals(0.0, INF), by(INF, INF));
            assert_eq!(tolerant.reals(INF, -INF), by(INF, INF));
        }
    }

    #[test]
    fn nan_is_nan_unless_told_otherwise() {
        let nan = f64::NAN;
        for equal_nan in [true, false] {
            let rule = Rule { rtol: 0.5, atol: 9.0, equal_nan };
            assert_eq!(rule.reals(nan, -nan), if equal_nan { Gap::Same } else { Gap::Nan });
            assert_eq!(rule.complex([nan, 1.0], [2.0, nan]), if equal_nan { Gap::Same } else { Gap::Nan });
            assert_eq!((rule.reals(nan, 1.0), rule.reals(1.0, nan)), (Gap::Nan, Gap::Nan));
        }
    }
}
