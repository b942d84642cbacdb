//! Settings in environment variables.
//!
//! `PEERSTAR__SECTION__KEY` holds a value, and `PEERSTAR__SECTION__KEY_FILE` the path of a file that
//! holds it.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read};

use peerstar_core::protocol::secret;

const PREFIX: &str = "PEERSTAR__";
const SUFFIX: &str = "_FILE";
/// The longest file that is read, in bytes.
const MAX_FILE_BYTES: u64 = 64 * 1024;

/// Why the environment cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// A variable of the server is not UTF-8. Skipping a secret in silence would leave the server
    /// open to everybody.
    #[error("{0}: the name or the value is not UTF-8")]
    NotText(String),
    /// A value is given both directly and in a file.
    #[error("{value} and {file} are both set: one of them must do")]
    Both {
        /// Name of the variable that holds the value.
        value: String,
        /// Name of the variable that holds the path of the file.
        file: String,
    },
    /// The file that a variable names cannot be used.
    #[error("{variable} = {path:?}: {problem}")]
    File {
        /// Name of the variable.
        variable: String,
        /// Path that it holds.
        path: String,
        /// What is wrong with the file.
        problem: FileProblem,
    },
}

/// Why a file does not hold a value.
#[derive(Debug, thiserror::Error)]
pub enum FileProblem {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] io::Error),
    /// The file is longer than a value can be.
    #[error("the file is longer than {MAX_FILE_BYTES} bytes")]
    TooLong,
    /// The file is not text.
    #[error("the file is not UTF-8")]
    NotText,
    /// The file is empty, or has white space alone.
    #[error("the file has nothing but white space")]
    Blank,
}

/// Takes the variables that are text from the environment of the process.
///
/// # Errors
/// When a variable of the server is not UTF-8. Variables of other programs need not be.
pub fn from_process(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, EnvironmentError> {
    let mut texts = HashMap::new();
    for (name, value) in variables {
        let is_ours = is_ours(&name.to_string_lossy());
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                texts.insert(name, value);
            }
            (name, _) if is_ours => {
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                return Err(EnvironmentError::NotText(name));
            }
            _ => {}
        }
    }
    Ok(texts)
}

/// Returns whether a variable is one of the server's. The case of the name does not matter, as for
/// the `config` crate.
fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Replaces each `…_FILE` variable by the content of its file, without the white space around it.
///
/// # Errors
/// When a file does not hold a value, or the variable without `_FILE` is set as well.
pub(super) fn with_files(
    environment: HashMap<String, String>,
) -> Result<HashMap<String, String>, EnvironmentError> {
    let (files, mut all): (HashMap<_, _>, HashMap<_, _>) =
        environment.into_iter().partition(|(name, _)| names_a_file(name));
    for (variable, path) in files {
        let key = variable[..variable.len() - SUFFIX.len()].to_owned();
        if all.keys().any(|other| other.eq_ignore_ascii_case(&key)) {
            return Err(EnvironmentError::Both { value: key, file: variable });
        }
        match read(&path) {
            Ok(value) => all.insert(key, value),
            Err(problem) => return Err(EnvironmentError::File { variable, path, problem }),
        };
    }
    Ok(all)
}

fn names_a_file(variable: &str) -> bool {
    let end = variable.len().checked_sub(SUFFIX.len()).and_then(|at| variable.get(at..));
    is_ours(variable) && end.is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

fn read(path: &str) -> Result<String, FileProblem> {
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(FileProblem::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|_| FileProblem::NotText)?;
    match secret::trim(&text) {
        "" => Err(FileProblem::Blank),
        text => Ok(text.to_owned()),
    }
}
