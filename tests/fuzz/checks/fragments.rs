//! Text in fragments, against fragments in a list.

use arbitrary::{Arbitrary, Unstructured};
use peerstar_core::frame::reassembly::{Broken, Reassembly};

#[derive(Debug, Arbitrary)]
enum Fragment<'a> {
    First(&'a [u8]),
    More(&'a [u8]),
    Last(&'a [u8]),
}

/// Compares the result for each fragment with that of a list.
pub(crate) fn check(input: &[u8]) {
    let mut input = Unstructured::new(input);
    let Ok(limit) = input.int_in_range(0..=200_usize) else { return };
    let Ok(fragments) = Vec::<Fragment<'_>>::arbitrary_take_rest(input) else { return };
    let mut parts = Reassembly::default();
    let mut list: Option<Vec<&[u8]>> = None;
    for fragment in &fragments {
        let (bytes, first, last) = match fragment {
            Fragment::First(bytes) => (bytes, true, false),
            Fragment::More(bytes) => (bytes, false, false),
            Fragment::Last(bytes) => (bytes, false, true),
        };
        if first != list.is_none() {
            let refused = if first { parts.first(bytes, limit) } else { parts.more(bytes, limit) };
            assert_eq!(refused, Err(Broken::OutOfOrder), "{fragments:?}");
            return; // the connection is closed
        }
        let sofar = list.get_or_insert_default();
        sofar.push(bytes);
        let whole = sofar.concat();
        let fits = whole.len() <= limit;
        if last {
            let expected = if fits {
                String::from_utf8(whole).map_err(|_| Broken::NotText)
            } else {
                Err(Broken::TooBig)
            };
            let got = parts.last(bytes, limit);
            assert_eq!(got, expected, "{fragments:?}");
            list = None;
            if got.is_err() {
                return;
            }
        } else {
            let got = if first { parts.first(bytes, limit) } else { parts.more(bytes, limit) };
            assert_eq!(got, if fits { Ok(()) } else { Err(Broken::TooBig) }, "{fragments:?}");
            if got.is_err() {
                return;
            }
        }
    }
}
