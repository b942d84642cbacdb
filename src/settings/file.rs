//! Reads the settings file, and says where it is not TOML.

use std::fs;
use std::path::{Path, PathBuf};

use config::{File, FileFormat, FileSourceString};

use super::SettingsError;
use super::error::one_line;

/// The file that is read where none is named, if it exists.
const DEFAULT: &str = "settings.toml";

/// The text of the settings file, which is TOML.
pub(super) struct SettingsFile {
    /// Path of the file.
    pub(super) path: PathBuf,
    text: String,
}

impl SettingsFile {
    /// Reads the file `named`, or `settings.toml` in the working directory if that exists.
    ///
    /// # Errors
    /// When the file that was named does not exist, cannot be read, or is not TOML.
    pub(super) fn read(named: Option<PathBuf>) -> Result<Self, SettingsError> {
        let is_named = named.is_some();
        let path = named.unwrap_or_else(|| DEFAULT.into());
        if !path.is_file() {
            return match is_named {
                true => Err(SettingsError::NotAFile(path)),
                false => Ok(Self { path, text: String::new() }),
            };
        }
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) => return Err(SettingsError::Unreadable { path, error }),
        };
        let text = String::from_utf8_lossy(&bytes);
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text).to_owned();
        check_syntax(&path, &text)?;
        Ok(Self { path, text })
    }

    /// Returns the file as a source for the settings.
    pub(super) fn source(&self) -> File<FileSourceString, FileFormat> {
        File::from_str(&self.text, FileFormat::Toml)
    }
}

/// Parses `text` as TOML, because only the parser's own error says where it failed.
fn check_syntax(path: &Path, text: &str) -> Result<(), SettingsError> {
    let Err(error) = toml::de::DeTable::parse(text) else { return Ok(()) };
    let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
    let (lines, last) = before
        .rsplit_once('\n')
        .map_or((0, before), |(lines, last)| (lines.split('\n').count(), last));
    Err(SettingsError::NotToml {
        path: path.to_owned(),
        line: lines + 1,
        column: last.chars().count() + 1,
        message: one_line(error.message()),
    })
}
