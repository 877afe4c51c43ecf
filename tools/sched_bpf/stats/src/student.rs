// SPDX-License-Identifier: GPL-2.0

//! Student's distribution.

/// Steps of the integrals below: the error is far below what intervals are shown with.
const STEPS: u32 = 400;

/// The integral of `cos(x)^power` from 0 to `end`, by Simpson's rule.
fn integral(power: i32, end: f64) -> f64 {
    let step = end / f64::from(STEPS);
    let sum: f64 = (0..=STEPS)
        .map(|i| {
            let weight = match i {
                0 | STEPS => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * (f64::from(i) * step).cos().powi(power)
        })
        .sum();

    sum * step / 3.0
}

/// What a variable of Student's distribution stays below, in absolute value, but for the
/// probability `alpha`. `freedom` are its degrees of freedom, at least 1.
///
/// With `x = tan(a) * sqrt(freedom)` the density is that of `cos(a)^(freedom - 1)`.
pub fn two_sided(freedom: usize, alpha: f64) -> f64 {
    let power = i32::try_from(freedom).unwrap_or(i32::MAX) - 1;
    let whole = integral(power, std::f64::consts::FRAC_PI_2);
    let (mut low, mut high) = (0.0, std::f64::consts::FRAC_PI_2);

    for _ in 0..60 {
        let middle = (low + high) / 2.0;
        if integral(power, middle) / whole < 1.0 - alpha {
            low = middle;
        } else {
            high = middle;
        }
    }
    low.tan() * (freedom as f64).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_in_tables() {
        for (freedom, alpha, expected) in [
            (1, 0.05, 12.706),
            (2, 0.05, 4.303),
            (4, 0.01, 4.604),
            (9, 0.05, 2.262),
            (30, 0.01, 2.750),
            (1000, 0.05, 1.962),
        ] {
            let found = two_sided(freedom, alpha);
            assert!(
                (found - expected).abs() < 0.001,
                "{freedom} {alpha} {found}"
            );
        }
    }
}
