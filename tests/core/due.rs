//! The queue of what is due, against a list searched from end to end.

use peerstar_core::page::deadline_map::DeadlineMap;
use peerstar_core::time::Time;
use proptest::prelude::*;

use super::random::run;

#[derive(Debug, Clone)]
enum Step {
    Insert { name: u8, until: u64 },
    Change { name: u8 },
    Take { name: u8 },
    TakeDue { now: u64 },
    TakeAll,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => (0..12_u8, 0..8_u64).prop_map(|(name, until)| Step::Insert { name, until }),
        2 => (0..12_u8).prop_map(|name| Step::Change { name }),
        3 => (0..12_u8).prop_map(|name| Step::Take { name }),
        3 => (0..8_u64).prop_map(|now| Step::TakeDue { now }),
        1 => Just(Step::TakeAll),
    ]
}

/// In the order in which they were put in.
type List = Vec<(u8, u64, usize)>;

fn take(list: &mut List, name: u8) -> Option<usize> {
    let at = list.iter().position(|(n, ..)| *n == name)?;
    Some(list.remove(at).2)
}

/// The least deadline, and of equal ones the one put in first.
fn first(list: &List) -> Option<(u8, u64, usize)> {
    list.iter().min_by_key(|(_, until, _)| *until).copied()
}

fn apply(due: &mut DeadlineMap<u8, usize>, list: &mut List, step: &Step, thing: usize) {
    match *step {
        Step::Insert { name, until } => {
            assert_eq!(due.insert(name, Time(until), thing), take(list, name));
            list.push((name, until, thing));
        }
        Step::Change { name } => {
            let changed = list
                .iter_mut()
                .find(|(n, ..)| *n == name)
                .map(|(.., it)| std::mem::replace(it, thing));
            assert_eq!(due.change(&name).map(|it| std::mem::replace(it, thing)), changed);
        }
        Step::Take { name } => assert_eq!(due.take(&name), take(list, name)),
        Step::TakeDue { now } => {
            let expected = first(list).filter(|(_, until, _)| *until <= now).map(|(name, ..)| name);
            assert_eq!(due.due(Time(now)).copied(), expected);
            let expected = expected.and_then(|name| Some((name, take(list, name)?)));
            assert_eq!(due.take_due(Time(now)), expected);
        }
        Step::TakeAll => {
            let all: Vec<_> = due.take_all().collect();
            list.sort_by_key(|(_, until, _)| *until);
            assert_eq!(
                all,
                std::mem::take(list)
                    .into_iter()
                    .map(|(name, _, thing)| (name, thing))
                    .collect::<Vec<_>>()
            );
        }
    }
    assert_eq!((due.len(), due.is_empty()), (list.len(), list.is_empty()));
    assert_eq!(due.next_deadline(), first(list).map(|(_, until, _)| Time(until)));
    for name in 0..12 {
        let expected =
            list.iter().find(|(n, ..)| *n == name).map(|(_, until, thing)| (Time(*until), thing));
        assert_eq!((due.get(&name), due.has(&name)), (expected, expected.is_some()));
    }
    let mut sorted = list.clone();
    sorted.sort_by_key(|(_, until, _)| *until);
    let expected: Vec<_> = sorted.iter().map(|(name, _, thing)| (*name, *thing)).collect();
    assert_eq!(due.iter().map(|(name, thing)| (*name, *thing)).collect::<Vec<_>>(), expected);
}

#[test]
fn what_is_due_is_what_a_list_says() {
    run(2000, prop::collection::vec(step(), 1..60), |steps| {
        let (mut due, mut list) = (DeadlineMap::default(), List::new());
        for (thing, step) in steps.iter().enumerate() {
            apply(&mut due, &mut list, step, thing);
        }
    });
}
