//! What a bench found, as lines of a Markdown table.

use std::fmt::Write as _;

/// Which way a figure is good, and from where on.
#[derive(Debug, Clone, Copy)]
pub enum Target {
    /// Ours is at least this share of the limit.
    Share(f64),
    /// Ours is at least this many times the other's.
    Times(f64),
    /// Ours is at most this, in the figure's own unit.
    AtMost(f64),
    /// For the record.
    None,
}

/// One line: our figure beside a limit or a peer that was measured in the same run.
#[derive(Debug, Clone)]
pub struct Line {
    pub what: String,
    pub unit: &'static str,
    pub ours: f64,
    /// What it is held against, and its figure.
    pub limit: Option<(String, f64)>,
    pub target: Target,
}

impl Line {
    pub fn new(what: impl Into<String>, unit: &'static str, ours: f64) -> Self {
        Self { what: what.into(), unit, ours, limit: None, target: Target::None }
    }

    #[must_use]
    pub fn against(mut self, what: impl Into<String>, figure: f64) -> Self {
        self.limit = Some((what.into(), figure));
        self
    }

    #[must_use]
    pub fn target(mut self, target: Target) -> Self {
        self.target = target;
        self
    }

    fn ratio(&self) -> Option<f64> {
        self.limit.as_ref().map(|(_, limit)| self.ours / limit)
    }

    /// Whether the target is met; `None` without one.
    pub fn met(&self) -> Option<bool> {
        match self.target {
            Target::Share(least) | Target::Times(least) => Some(self.ratio().is_some_and(|ratio| ratio >= least)),
            Target::AtMost(most) => Some(self.ours <= most),
            Target::None => None,
        }
    }

    fn render(&self) -> String {
        let unit = self.unit;
        let limit =
            self.limit.as_ref().map_or_else(String::new, |(what, figure)| format!("{} ({what})", short(*figure)));
        let ratio = self.ratio().map_or_else(String::new, |ratio| format!("{ratio:.2}"));
        let target = match self.target {
            Target::Share(least) => format!("≥ {least:.2}"),
            Target::Times(least) => format!("≥ {least:.0} ×"),
            Target::AtMost(most) => format!("≤ {} {unit}", short(most)),
            Target::None => String::new(),
        };
        let verdict = match self.met() {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        format!("| {} | {} {unit} | {limit} | {ratio} | {target} | {verdict} |", self.what, short(self.ours))
    }
}

/// The closing table.
pub fn render(lines: &[Line]) -> String {
    let mut text =
        String::from("| what | ours | limit or peer, same run | ratio | target | met |\n|---|--:|--:|--:|--:|---|\n");
    for line in lines {
        let _ = writeln!(text, "{}", line.render());
    }
    text
}

/// Three digits that mean something, thousands set apart.
fn short(figure: f64) -> String {
    match figure.abs() {
        size if size >= 100.0 => thousands(figure),
        size if size >= 10.0 => format!("{figure:.1}"),
        _ => format!("{figure:.2}"),
    }
}

fn thousands(figure: f64) -> String {
    let digits = format!("{figure:.0}");
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) && !text.ends_with('-') {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_its_ratio_and_whether_it_is_enough() {
        let line = Line::new("commands", "/s", 12_345.6).against("bare loop", 20_000.0).target(Target::Share(0.5));
        assert_eq!(line.met(), Some(true));
        assert_eq!(line.render(), "| commands | 12,346 /s | 20,000 (bare loop) | 0.62 | ≥ 0.50 | yes |");
        let line = Line::new("p99", "ms", 30.0).target(Target::AtMost(20.0));
        assert_eq!(line.render(), "| p99 | 30.0 ms |  |  | ≤ 20.0 ms | **no** |");
        assert_eq!(Line::new("seen", "s", 0.123).render(), "| seen | 0.12 s |  |  |  |  |");
    }
}
