//! Writes docs/PERFORMANCE.md: its table, its plots, and the samples behind them.

use std::io;
use std::path::Path;

use super::table::Samples;
use super::work::WORKS;
use super::{meter, plot};

const BEGIN: &str = "<!-- figures: made by scripts/bench --write -->\n";
const END: &str = "<!-- end of figures -->\n";

/// Puts new figures into the folder `docs`. Figures that were not measured stay as they were.
///
/// # Errors
/// Fails if the document is missing, or has no place for figures.
pub fn write(docs: &Path, samples: Samples) -> io::Result<()> {
    let folder = docs.join("performance");
    std::fs::create_dir_all(&folder)?;
    let raw = folder.join("samples.json");
    let mut all: Samples = match std::fs::read_to_string(&raw) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(e) if e.kind() == io::ErrorKind::NotFound => Samples::default(),
        Err(e) => return Err(e),
    };
    all.0.extend(samples.0);
    std::fs::write(raw, serde_json::to_string_pretty(&all)? + "\n")?;

    let mut figures = format!(
        "\nMeasured on {}.\n\n{}\n{}\n",
        meter::machine()?,
        all.markdown(),
        all.generator()
    );
    for work in
        WORKS.iter().filter(|work| work.figures.iter().any(|figure| all.0.contains_key(figure.key)))
    {
        std::fs::write(folder.join(format!("{}.svg", work.key)), plot::bars(work, &all))?;
        figures.push_str(&format!("![{0}](performance/{0}.svg)\n", work.key));
    }
    figures.push('\n');
    let document = docs.join("PERFORMANCE.md");
    let text = std::fs::read_to_string(&document)?;
    let odd = || io::Error::other(format!("{} has no place for figures", document.display()));
    let (before, rest) = text.split_once(BEGIN).ok_or_else(odd)?;
    let (_, after) = rest.split_once(END).ok_or_else(odd)?;
    std::fs::write(&document, [before, BEGIN, &figures, END, after].concat())
}
