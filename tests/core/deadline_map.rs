//! The deadline map, against a list that is searched from end to end.

use peerstar_core::page::deadline_map::DeadlineMap;
use peerstar_core::time::Time;
use proptest::prelude::*;

use super::random::run;

#[derive(Debug, Clone)]
enum Step {
    Insert { key: u8, until: u64 },
    Change { key: u8 },
    Take { key: u8 },
    TakeDue { now: u64 },
    TakeAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12_u8, 0..8_u64).prop_map(|(key, until)| Step::Insert { key, until }),
        2 => (0..12_u8).prop_map(|key| Step::Change { key }),
        3 => (0..12_u8).prop_map(|key| Step::Take { key }),
        3 => (0..8_u64).prop_map(|now| Step::TakeDue { now }),
        1 => Just(Step::TakeAll),
    ]
}

/// (key, deadline, value) in the order of insertion.
type List = Vec<(u8, u64, usize)>;

fn take(list: &mut List, key: u8) -> Option<usize> {
    let at = list.iter().position(|(n, ..)| *n == key)?;
    Some(list.remove(at).2)
}

/// Returns the entry with the least deadline, and of equal ones the one inserted first.
fn first(list: &List) -> Option<(u8, u64, usize)> {
    list.iter().min_by_key(|(_, until, _)| *until).copied()
}

fn apply(map: &mut DeadlineMap<u8, usize>, list: &mut List, step: &Step, value: usize) {
    match *step {
        Step::Insert { key, until } => {
            assert_eq!(map.insert(key, Time(until), value), take(list, key));
            list.push((key, until, value));
        }
        Step::Change { key } => {
            let changed = list
                .iter_mut()
                .find(|(n, ..)| *n == key)
                .map(|(.., it)| std::mem::replace(it, value));
            assert_eq!(map.change(&key).map(|it| std::mem::replace(it, value)), changed);
        }
        Step::Take { key } => assert_eq!(map.take(&key), take(list, key)),
        Step::TakeDue { now } => {
            let expected = first(list).filter(|(_, until, _)| *until <= now).map(|(key, ..)| key);
            assert_eq!(map.due(Time(now)).copied(), expected);
            let expected = expected.and_then(|key| Some((key, take(list, key)?)));
            assert_eq!(map.take_due(Time(now)), expected);
        }
        Step::TakeAll => {
            let all: Vec<_> = map.take_all().collect();
            list.sort_by_key(|(_, until, _)| *until);
            assert_eq!(
                all,
                std::mem::take(list)
                    .into_iter()
                    .map(|(key, _, value)| (key, value))
                    .collect::<Vec<_>>()
            );
        }
    }
    assert_eq!((map.len(), map.is_empty()), (list.len(), list.is_empty()));
    assert_eq!(map.next_deadline(), first(list).map(|(_, until, _)| Time(until)));
    for key in 0..12 {
        let expected =
            list.iter().find(|(n, ..)| *n == key).map(|(_, until, value)| (Time(*until), value));
        assert_eq!((map.get(&key), map.has(&key)), (expected, expected.is_some()));
    }
    let mut sorted = list.clone();
    sorted.sort_by_key(|(_, until, _)| *until);
    let expected: Vec<_> = sorted.iter().map(|(key, _, value)| (*key, *value)).collect();
    assert_eq!(map.iter().map(|(key, value)| (*key, *value)).collect::<Vec<_>>(), expected);
}

#[test]
fn a_deadline_map_does_what_a_list_does() {
    run(2000, prop::collection::vec(step(), 1..60), |steps| {
        let (mut map, mut list) = (DeadlineMap::default(), List::new());
        for (value, step) in steps.iter().enumerate() {
            apply(&mut map, &mut list, step, value);
        }
    });
}
