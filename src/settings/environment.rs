//! The environment: `PEERSTAR__SECTION__KEY`, or `PEERSTAR__SECTION__KEY_FILE` with the path of a file that has the value.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::Read;

use super::BadSettings;
use peerstar_core::protocol::secret;

const PREFIX: &str = "PEERSTAR__";
const SUFFIX: &str = "_FILE";
/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Takes the variables that are text. Those of other programs need not be.
///
/// # Errors
/// When one of ours is not UTF-8: left out in silence, a secret would leave the server open.
pub fn from_process(
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<HashMap<String, String>, BadSettings> {
    let mut texts = HashMap::new();
    for (name, value) in variables {
        let is_ours = is_ours(&name.to_string_lossy());
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => {
                texts.insert(name, value);
            }
            (name, _) if is_ours => {
                let name = name.unwrap_or_else(|name| name.to_string_lossy().into_owned());
                return Err(BadSettings(format!("{name}: the name or the value is not UTF-8")));
            }
            _ => {}
        }
    }
    Ok(texts)
}

/// Names are compared as the library for settings does it: in any case.
fn is_ours(name: &str) -> bool {
    name.get(..PREFIX.len()).is_some_and(|start| start.eq_ignore_ascii_case(PREFIX))
}

/// Replaces each `…_FILE` by what the file has, without the white space around it.
///
/// # Errors
/// When a file cannot be read, is empty, is not UTF-8 or too long, or the variable without `_FILE` is set as well.
pub(super) fn with_files(
    environment: HashMap<String, String>,
) -> Result<HashMap<String, String>, BadSettings> {
    let (files, mut all): (HashMap<_, _>, HashMap<_, _>) =
        environment.into_iter().partition(|(name, _)| is_file(name));
    for (name, path) in files {
        let key = name[..name.len() - SUFFIX.len()].to_owned();
        if all.keys().any(|other| other.eq_ignore_ascii_case(&key)) {
            return Err(BadSettings(format!("{key} and {name} are both set: one of them must do")));
        }
        let value = read(&path).map_err(|why| BadSettings(format!("{name} = {path:?}: {why}")))?;
        all.insert(key, value);
    }
    Ok(all)
}

fn is_file(name: &str) -> bool {
    let end = name.len().checked_sub(SUFFIX.len()).and_then(|at| name.get(at..));
    is_ours(name) && end.is_some_and(|end| end.eq_ignore_ascii_case(SUFFIX))
}

fn read(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > MAX_FILE {
        return Err(format!("the file is longer than {MAX_FILE} bytes"));
    }
    let text = String::from_utf8(bytes).map_err(|_| "the file is not UTF-8")?;
    match secret::trim(&text) {
        "" => Err("the file has nothing but white space".into()),
        text => Ok(text.to_owned()),
    }
}
