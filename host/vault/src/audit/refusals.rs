//! Refusals, of which not each gets an entry: whoever is refused can ask a million times.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many refusals of an actor get an entry each, in [`WINDOW`]. The rest are counted.
const WRITTEN: u32 = 8;
const WINDOW: Duration = Duration::from_secs(60);

/// The refusals of each actor.
#[derive(Default)]
pub(super) struct Refusals(Mutex<HashMap<String, Window>>);

/// Those of one actor, since the first of them.
struct Window {
    since: Instant,
    written: u32,
    unwritten: u64,
}

impl Window {
    fn new() -> Self {
        Self { since: Instant::now(), written: 0, unwritten: 0 }
    }

    fn is_over(&self) -> bool {
        self.since.elapsed() >= WINDOW
    }
}

impl Refusals {
    /// Whether one more refusal of this actor gets an entry: then how many came before that got none, and are to be told
    /// with it.
    pub(super) fn note(&self, actor: &str) -> Option<u64> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, window| window.unwritten > 0 || !window.is_over());
        let window = all.entry(actor.to_owned()).or_insert_with(Window::new);
        let unwritten = match window.is_over() {
            true => std::mem::replace(window, Window::new()).unwritten,
            false => 0,
        };
        if window.written == WRITTEN {
            window.unwritten += 1;
            return None;
        }
        window.written += 1;
        Some(unwritten)
    }

    /// The actors of whom there is something to tell, although they aren't refused any more, each with how many refusals
    /// got no entry.
    pub(super) fn take_overdue(&self) -> Vec<(String, u64)> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_overdue = |_: &String, window: &mut Window| window.unwritten > 0 && window.is_over();
        all.extract_if(is_overdue).map(|(actor, window)| (actor, window.unwritten)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Refusals {
        fn end_windows(&self) {
            for window in self.0.lock().unwrap().values_mut() {
                window.since = Instant::now().checked_sub(WINDOW).unwrap();
            }
        }
    }

    #[test]
    fn a_few_are_written_and_the_rest_counted() {
        let refusals = Refusals::default();
        let written = (0..1_000).filter_map(|_| refusals.note("a plugin")).collect::<Vec<_>>();
        assert_eq!(written, [0; WRITTEN as usize]);
        assert_eq!(refusals.note("another"), Some(0));
        assert!(refusals.take_overdue().is_empty());
        refusals.end_windows();
        assert_eq!(refusals.note("a plugin"), Some(1_000 - u64::from(WRITTEN)));
        assert_eq!(refusals.note("a plugin"), Some(0));
    }

    #[test]
    fn what_nobody_asks_for_again_is_told_in_the_end() {
        let refusals = Refusals::default();
        assert_eq!((0..=WRITTEN).filter_map(|_| refusals.note("a plugin")).count(), 8);
        refusals.end_windows();
        assert_eq!(refusals.take_overdue(), [("a plugin".to_owned(), 1)]);
        assert!(refusals.take_overdue().is_empty());
    }
}
