//! Medians of interleaved rounds, and percentiles.

use std::time::Duration;

/// How large a run is: the real thing, or just enough to see that a bench works.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    pub smoke: bool,
}

impl Scale {
    /// `count`, or little in a smoke run.
    pub fn of(self, count: usize, little: usize) -> usize {
        if self.smoke { little } else { count }
    }

    pub fn rounds(self) -> usize {
        self.of(5, 1)
    }

    /// How long one side of a round is loaded.
    pub fn round(self) -> Duration {
        Duration::from_millis(self.of(1000, 50) as u64)
    }
}

pub fn median(figures: &[f64]) -> f64 {
    let mut figures = figures.to_vec();
    figures.sort_by(f64::total_cmp);
    match figures.len() {
        0 => f64::NAN,
        count if count.is_multiple_of(2) => f64::midpoint(figures[count / 2 - 1], figures[count / 2]),
        count => figures[count / 2],
    }
}

/// The latencies of a run.
#[derive(Debug, Clone, Default)]
pub struct Latencies(Vec<Duration>);

impl Latencies {
    pub fn add(&mut self, latency: Duration) {
        self.0.push(latency);
    }

    pub fn extend(&mut self, others: Self) {
        self.0.extend(others.0);
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// In milliseconds; `share` 0.99 for p99.
    pub fn percentile_ms(&mut self, share: f64) -> f64 {
        self.0.sort_unstable();
        let last = self.0.len().saturating_sub(1);
        let index = (share * last as f64).round() as usize;
        self.0.get(index).map_or(f64::NAN, |latency| latency.as_secs_f64() * 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians_and_percentiles() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        let mut latencies = Latencies::default();
        (0..=100).rev().for_each(|ms| latencies.add(Duration::from_millis(ms)));
        assert_eq!((latencies.percentile_ms(0.5), latencies.percentile_ms(0.99)), (50.0, 99.0));
    }
}
