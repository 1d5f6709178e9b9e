//! What several rounds of a measurement say together.

use std::fmt;

/// Median and range of what the rounds gave.
#[derive(Clone, Default, Debug)]
pub struct Spread(Vec<f64>);

impl Spread {
    /// One more round.
    pub fn push(&mut self, value: f64) {
        self.0.push(value);
        self.0.sort_by(f64::total_cmp);
    }

    /// The middle one; not a number before the first round.
    pub fn median(&self) -> f64 {
        self.0.get(self.0.len() / 2).copied().unwrap_or(f64::NAN)
    }

    /// The mean; not a number before the first round.
    pub fn mean(&self) -> f64 {
        self.0.iter().sum::<f64>() / self.0.len() as f64
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = (self.0.first(), self.0.last());
        let text = match (first, last) {
            (Some(least), Some(most)) => {
                format!("{:.2} ({least:.2} to {most:.2})", self.median())
            }
            _ => "-".to_owned(),
        };
        f.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_shown_with_the_range() {
        let mut spread = Spread::default();
        assert!(spread.median().is_nan());
        assert_eq!(format!("{spread:>3}"), "  -");
        for value in [3.0, 1.0, 2.0] {
            spread.push(value);
        }
        assert_eq!(spread.to_string(), "2.00 (1.00 to 3.00)");
        assert_eq!(spread.mean(), 2.0);
    }
}
