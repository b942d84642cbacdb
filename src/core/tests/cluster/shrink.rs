//! Makes a failing script small: drops chunks of steps, then single ones, as long as it still
//! fails, and then shortens its times.

use crate::script::{Script, Step};

/// Returns the smallest failing script that was found with at most `most` runs. `fails` tells
/// whether a script fails.
pub(crate) fn shrink(
    script: Script,
    most: usize,
    mut fails: impl FnMut(&Script) -> bool,
) -> Script {
    let mut best = script;
    let mut runs = 0;
    let mut chunk = best.steps.len().div_ceil(2);
    while chunk > 0 && runs < most {
        let mut start = 0;
        let mut dropped = false;
        while start < best.steps.len() && runs < most {
            let end = (start + chunk).min(best.steps.len());
            let kept = best.steps[..start].iter().chain(&best.steps[end..]).cloned().collect();
            let smaller = Script { steps: kept, ..best };
            runs += 1;
            if fails(&smaller) {
                best = smaller;
                dropped = true;
            } else {
                start = end;
            }
        }
        if chunk > 1 || !dropped {
            chunk /= 2;
        }
    }
    // times that can be read
    for unit in [1_000_000, 100_000, 10_000, 1000] {
        if runs < most {
            let round = |step: &Step| Step { at: step.at / unit * unit, ..step.clone() };
            let rounded = Script { steps: best.steps.iter().map(round).collect(), ..best };
            runs += 1;
            if fails(&rounded) {
                return rounded;
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::script::parse;

    #[test]
    fn only_what_is_needed_to_fail_remains() {
        let lines = (0..200).map(|n| format!("t={n}s member m{n} crashes\n"));
        let script = parse(&lines.collect::<String>()).unwrap();
        let needs = |script: &Script, who: &str| {
            script.steps.iter().any(|step| step.action.to_string().contains(who))
        };
        let small = shrink(script, 2000, |script| needs(script, "m17 ") && needs(script, "m171 "));
        assert_eq!(small.steps.len(), 2);
    }
}
