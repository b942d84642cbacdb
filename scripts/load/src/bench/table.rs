//! Collects samples and prints them as a table.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::contender::Contender;
use super::sample::{Sample, median};
use super::work::{Aim, Figure, Unit, WORKS};

/// All samples by figure and server, in the order they were taken.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Samples(pub BTreeMap<String, BTreeMap<Contender, Vec<Sample>>>);

impl Samples {
    /// Adds a sample to the table.
    pub fn add(&mut self, figure: &str, contender: Contender, sample: Sample) {
        self.0.entry(figure.to_owned()).or_default().entry(contender).or_default().push(sample);
    }

    /// Returns the median of a figure of a server.
    #[must_use]
    pub fn value(&self, figure: &str, contender: Contender) -> Option<f64> {
        self.median_of(figure, contender, |sample| sample.value)
    }

    /// Returns the median of another value of its runs.
    #[must_use]
    pub fn median_of(
        &self,
        figure: &str,
        contender: Contender,
        what: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        Some(median(self.0.get(figure)?.get(&contender)?.iter().map(what).collect()))
    }

    /// Returns how many times what `other` needs peerstar needs.
    #[must_use]
    pub fn ratio(&self, figure: &str, other: Contender) -> Option<f64> {
        Some(self.value(figure, Contender::Peerstar)? / self.value(figure, other)?)
    }

    fn is_met(&self, figure: &Figure, aim: Aim) -> Option<bool> {
        match aim {
            Aim::Most(most) => Some(self.value(figure.key, Contender::Peerstar)? <= most),
            Aim::Of(other, most) => Some(self.ratio(figure.key, other)? <= most),
        }
    }

    /// Returns the figures as a table in Markdown.
    #[must_use]
    pub fn markdown(&self) -> String {
        let mut text = String::from("| |");
        Contender::ALL.iter().for_each(|contender| text.push_str(&format!(" {contender} |")));
        text.push_str(" aim |\n|---|");
        Contender::ALL.iter().for_each(|_| text.push_str("--:|"));
        text.push_str("---|\n");
        for figure in WORKS
            .iter()
            .flat_map(|work| work.figures)
            .filter(|figure| self.0.contains_key(figure.key))
        {
            text.push_str(&format!("| {} |", figure.title));
            for contender in Contender::ALL {
                let Some(value) = self.value(figure.key, contender) else {
                    text.push_str(" |");
                    continue;
                };
                let ratio =
                    self.ratio(figure.key, contender).filter(|_| contender != Contender::Peerstar);
                let ratio = ratio.map(|ratio| format!(" ({ratio:.2})")).unwrap_or_default();
                text.push_str(&format!(" {}{ratio} |", figure.unit.say(value)));
            }
            let aims: Vec<_> = figure.aims.iter().map(|aim| self.say_aim(figure, *aim)).collect();
            text.push_str(&format!(" {} |\n", aims.join(", ")));
        }
        text
    }

    fn say_aim(&self, figure: &Figure, aim: Aim) -> String {
        let wanted = match aim {
            Aim::Most(most) => format!("≤ {}", figure.unit.say(most)),
            Aim::Of(other, most) => format!("≤ {most} of {other}"),
        };
        if self.is_met(figure, aim) == Some(false) {
            format!("**missed:** {wanted}")
        } else {
            wanted
        }
    }

    /// Returns the load generator's own use as a table.
    #[must_use]
    pub fn generator(&self) -> String {
        let mut text = String::from(
            "| the load generator's own share | µs each | a second | of one core |\n|---|--:|--:|--:|\n",
        );
        for (figure, by_contender) in &self.0 {
            for contender in by_contender.keys() {
                let of = |what: fn(&Sample) -> f64| {
                    self.median_of(figure, *contender, what).unwrap_or_default()
                };
                let (each, rate) = (of(|sample| sample.generator), of(|sample| sample.rate));
                if rate > 0.0 {
                    let share = each * rate / 1e4;
                    text.push_str(&format!(
                        "| {figure}, {contender} | {each:.2} | {rate:.0} | {share:.0} % |\n"
                    ));
                }
            }
        }
        text
    }
}

impl Unit {
    /// Formats a value with its unit.
    #[must_use]
    pub fn say(self, value: f64) -> String {
        match self {
            Self::Micros if value < 20.0 => format!("{value:.2} µs"),
            Self::Micros => format!("{value:.0} µs"),
            Self::Bytes if value >= 1e6 => format!("{:.1} MB", value / 1e6),
            Self::Bytes => format!("{:.1} KB", value / 1e3),
            Self::Millis => format!("{value:.1} ms"),
            Self::Times => format!("{value:.2}"),
        }
    }
}
