//! What is known of one thing in the registry, over the registry's restarts.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

/// What the registry lists by key, and what it listed before it was away.
#[derive(Debug)]
pub(super) struct View<V> {
    /// None where the registry forgets nothing: then its answer is all there is.
    grace: Option<Duration>,
    /// Of the last answer; 0 before the first, and after an index that went backwards.
    index: u64,
    lost: bool,
    listed: BTreeMap<String, V>,
    /// No longer listed, and kept until then.
    kept: BTreeMap<String, V>,
    keep_until: Option<Instant>,
}

impl<V: Clone> View<V> {
    pub fn new(grace: Option<Duration>) -> Self {
        Self {
            grace,
            index: 0,
            lost: false,
            listed: BTreeMap::new(),
            kept: BTreeMap::new(),
            keep_until: None,
        }
    }

    /// The index to ask after. After a lost contact 0, so that the answer comes at once: a restarted
    /// registry counts from the start and would hold back an answer for a higher index.
    pub fn ask_after(&self) -> u64 {
        if self.lost { 0 } else { self.index }
    }

    /// The registry gives no answer: what is known stays.
    pub fn lose(&mut self) {
        self.lost = true;
        self.keep_until = None;
    }

    /// Takes the registry's answer; returns whether its index brought news.
    ///
    /// An index that went backwards comes from a registry that was restarted (or restored), and is
    /// forgotten, as Consul's rules for blocking queries want it. Such a registry
    /// lists nobody until everybody has registered again; and one that was out of reach may have
    /// been restarted meanwhile and have counted beyond the old index.
    pub fn take(&mut self, index: u64, listed: BTreeMap<String, V>, now: Instant) -> bool {
        let backwards = index < self.index;
        let news = !backwards && index != self.index;
        if let Some(grace) = self.grace.filter(|_| backwards || self.lost) {
            self.kept.append(&mut self.listed);
            self.keep_until = Some(now + grace);
        }
        self.index = if backwards { 0 } else { index };
        self.lost = false;
        self.kept.retain(|key, _| !listed.contains_key(key));
        self.listed = listed;
        if self.kept.is_empty() {
            self.keep_until = None;
        }
        news
    }

    /// When the grace is over, where something is kept by it.
    pub fn keep_until(&self) -> Option<Instant> {
        self.keep_until
    }

    pub fn end_grace(&mut self) {
        self.kept.clear();
        self.keep_until = None;
    }

    pub fn known(&self) -> BTreeMap<String, V> {
        self.kept.iter().chain(&self.listed).map(|(k, v)| (k.clone(), v.clone())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(keys: &[&str]) -> BTreeMap<String, ()> {
        keys.iter().map(|key| ((*key).to_owned(), ())).collect()
    }

    fn known(view: &View<()>) -> String {
        view.known().into_keys().collect()
    }

    const GRACE: Duration = Duration::from_secs(10);

    #[test]
    fn what_is_no_longer_listed_is_gone_at_once() {
        let mut view = View::new(Some(GRACE));
        assert!(view.take(5, list(&["a", "b"]), Instant::now()));
        assert!(view.take(6, list(&["b"]), Instant::now()));
        assert_eq!((known(&view).as_str(), view.ask_after(), view.keep_until()), ("b", 6, None));
        assert!(!view.take(6, list(&["b"]), Instant::now()));
    }

    #[test]
    fn an_index_that_goes_backwards_is_forgotten_and_nobody_with_it() {
        let mut view = View::new(Some(GRACE));
        let now = Instant::now();
        view.take(50, list(&["a", "b"]), now);
        assert!(!view.take(2, list(&["b"]), now));
        assert_eq!((known(&view).as_str(), view.ask_after()), ("ab", 0));
        assert_eq!(view.keep_until(), Some(now + GRACE));
        view.take(3, list(&["b", "c"]), now);
        assert_eq!((known(&view).as_str(), view.ask_after()), ("abc", 3));
        // One that left in good order meanwhile is not kept.
        view.take(4, list(&["b"]), now);
        assert_eq!(known(&view), "ab");
        view.end_grace();
        assert_eq!((known(&view).as_str(), view.keep_until()), ("b", None));
    }

    #[test]
    fn without_any_index_what_is_no_longer_listed_is_gone_at_once() {
        let mut view = View::new(Some(GRACE));
        let now = Instant::now();
        assert!(!view.take(0, list(&["a", "b"]), now));
        assert!(!view.take(0, list(&["b"]), now));
        assert_eq!((known(&view).as_str(), view.ask_after(), view.keep_until()), ("b", 0, None));
    }

    #[test]
    fn after_a_lost_contact_the_first_question_does_not_block_and_the_unlisted_are_kept() {
        let mut view = View::new(Some(GRACE));
        let now = Instant::now();
        view.take(5, list(&["a"]), now);
        view.lose();
        assert_eq!((known(&view).as_str(), view.ask_after()), ("a", 0));
        // Restarted, and already beyond the old index.
        assert!(view.take(9, list(&[]), now));
        assert_eq!((known(&view).as_str(), view.ask_after()), ("a", 9));
        // The grace does not run while the registry is away.
        view.lose();
        assert_eq!((known(&view).as_str(), view.keep_until()), ("a", None));
        view.take(9, list(&[]), now + GRACE * 2);
        assert_eq!(view.keep_until(), Some(now + GRACE * 3));
        // Back: nothing is left to wait for.
        view.take(10, list(&["a"]), now + GRACE * 2);
        assert_eq!((known(&view).as_str(), view.keep_until()), ("a", None));
    }
    #[test]
    fn without_a_grace_an_answer_is_all_there_is() {
        let mut view = View::new(None);
        let now = Instant::now();
        view.take(5, list(&["a", "b"]), now);
        view.lose();
        assert_eq!(known(&view), "ab");
        // Restarted, or restored.
        for index in [9, 2] {
            view.take(index, list(&["b"]), now);
            assert_eq!((known(&view).as_str(), view.keep_until()), ("b", None));
        }
    }
}
