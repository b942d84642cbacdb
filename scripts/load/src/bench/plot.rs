//! Draws bars as SVG.

use std::fmt::Write as _;

use super::contender::Contender;
use super::table::Samples;
use super::work::{Figure, Work};

const WIDTH: f64 = 760.0;
/// Start of the bars, and length of the longest.
const LEFT: f64 = 110.0;
const LONGEST: f64 = 540.0;
const BAR: f64 = 18.0;
const GAP: f64 = 6.0;

const fn colour(contender: Contender) -> &'static str {
    match contender {
        Contender::Peerstar => "#d9480f",
        Contender::Bare => "#868e96",
        Contender::PeerServer => "#1971c2",
        Contender::Matchbox => "#2f9e44",
        Contender::YWebrtc => "#9c36b5",
        Contender::SocketIo => "#212529",
    }
}

/// Draws the figures of a work: for each server a bar up to its median, and a line from least to
/// most.
#[must_use]
pub fn bars(work: &Work, samples: &Samples) -> String {
    let mut y = 8.0;
    let mut body = String::new();
    for figure in work.figures.iter().filter(|figure| samples.0.contains_key(figure.key)) {
        y += 18.0;
        let _ = writeln!(body, r#"<text x="8" y="{y}" font-weight="bold">{}</text>"#, figure.title);
        y += GAP;
        for (contender, values) in ranges(figure, samples) {
            bar(&mut body, figure, contender, y, values);
            y += BAR + GAP;
        }
        y += GAP;
    }
    format!(
        r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y}" font-family="sans-serif" font-size="13">
<rect width="{WIDTH}" height="{y}" fill="#fff"/>
{body}</svg>
"##
    )
}

/// Returns least, median and most of each, and the most of all.
type Range = ([f64; 3], f64);

fn ranges(figure: &Figure, samples: &Samples) -> Vec<(Contender, Range)> {
    let by = &samples.0[figure.key];
    let of = |contender: Contender| {
        let values = || by[&contender].iter().map(|sample| sample.value);
        let median = samples.value(figure.key, contender).unwrap_or_default();
        [values().fold(f64::INFINITY, f64::min), median, values().fold(0.0, f64::max)]
    };
    let longest = by.keys().map(|contender| of(*contender)[2]).fold(0.0, f64::max);
    by.keys().map(|contender| (*contender, (of(*contender), longest))).collect()
}

fn bar(
    body: &mut String,
    figure: &Figure,
    contender: Contender,
    y: f64,
    ([least, median, most], longest): Range,
) {
    let length = |value: f64| LONGEST * value / longest;
    let (middle, base) = (y + BAR / 2.0, y + BAR - 5.0);
    let _ = writeln!(
        body,
        r#"<text x="{}" y="{base}" text-anchor="end">{contender}</text>"#,
        LEFT - 6.0
    );
    let (width, fill) = (length(median), colour(contender));
    let _ = writeln!(
        body,
        r#"<rect x="{LEFT}" y="{y}" width="{width:.1}" height="{BAR}" fill="{fill}"/>"#
    );
    let (from, to) = (LEFT + length(least), LEFT + length(most));
    let _ = writeln!(
        body,
        r##"<path d="M{from:.1} {middle}H{to:.1}" stroke="#212529" stroke-width="2"/>"##
    );
    let _ = writeln!(
        body,
        r#"<text x="{:.1}" y="{base}">{}</text>"#,
        to + 6.0,
        figure.unit.say(median)
    );
}
