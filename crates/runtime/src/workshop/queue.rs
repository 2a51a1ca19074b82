//! The queue of jobs: a fair queue, round robin over the addresses that ask. Sans-IO.
//!
//! Contract: [`Queue::push`] takes a job, or gives it back if there is no place; [`Queue::take`] gives the next one, whose
//! place is free again after [`Queue::done`]. Each asker gets one job in turn, so nobody waits for all the jobs of another.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// Jobs that wait, and the places that they and the running ones take. `A` is the address that a job counts for; jobs of
/// `None` count towards the total only.
#[derive(Debug)]
pub(super) struct Queue<A, J> {
    places: usize,
    per_address: usize,
    /// Jobs by asker; no list is empty.
    waiting: HashMap<Option<A>, VecDeque<J>>,
    /// The keys of `waiting`, each once, in the order of their turns.
    turns: VecDeque<Option<A>>,
    /// Jobs waiting and running, by address.
    taken: HashMap<A, usize>,
    waits: usize,
    runs: usize,
}

impl<A: Copy + Eq + Hash, J> Queue<A, J> {
    /// At most `places` jobs in all and `per_address` of one address, waiting and running.
    pub(super) fn new(places: usize, per_address: usize) -> Self {
        let (waiting, turns, taken) = (HashMap::new(), VecDeque::new(), HashMap::new());
        Self { places, per_address, waiting, turns, taken, waits: 0, runs: 0 }
    }

    /// The numbers of jobs that wait and that run.
    pub(super) const fn counts(&self) -> (usize, usize) {
        (self.waits, self.runs)
    }

    pub(super) fn push(&mut self, asker: Option<A>, job: J) -> Result<(), J> {
        if self.waits + self.runs >= self.places {
            return Err(job);
        }
        if let Some(address) = asker {
            let taken = self.taken.entry(address).or_default();
            if *taken >= self.per_address {
                return Err(job);
            }
            *taken += 1;
        }
        let line = self.waiting.entry(asker).or_default();
        if line.is_empty() {
            self.turns.push_back(asker);
        }
        line.push_back(job);
        self.waits += 1;
        Ok(())
    }

    pub(super) fn take(&mut self) -> Option<(Option<A>, J)> {
        let asker = self.turns.pop_front()?;
        let line = self.waiting.get_mut(&asker)?;
        let job = line.pop_front()?;
        if line.is_empty() {
            self.waiting.remove(&asker);
        } else {
            self.turns.push_back(asker);
        }
        self.waits -= 1;
        self.runs += 1;
        Some((asker, job))
    }

    pub(super) fn done(&mut self, asker: Option<A>) {
        self.runs = self.runs.saturating_sub(1);
        let Some(address) = asker else { return };
        if let Some(taken) = self.taken.get_mut(&address) {
            *taken = taken.saturating_sub(1);
            if *taken == 0 {
                self.taken.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_asker_has_its_turn() {
        let mut queue = Queue::new(100, 10);
        for job in 0..8 {
            queue.push(Some(1), (1, job)).expect("a place");
        }
        queue.push(Some(2), (2, 0)).expect("a place");
        queue.push(None, (0, 0)).expect("a place");
        let order: Vec<_> = std::iter::from_fn(|| queue.take()).map(|(_, (who, _))| who).collect();
        assert_eq!(order, [1, 2, 0, 1, 1, 1, 1, 1, 1, 1]);
    }

    #[test]
    fn places_are_bounded_for_one_and_for_all_until_a_job_is_done() {
        let mut queue = Queue::new(4, 2);
        for job in 0..2 {
            queue.push(Some(1), job).expect("a place");
        }
        assert_eq!(queue.push(Some(1), 9), Err(9), "its share is taken");
        queue.push(None, 2).expect("a place");
        queue.push(None, 3).expect("nobody in particular has no share");
        assert_eq!(queue.push(Some(2), 9), Err(9), "all are taken");
        let (asker, _) = queue.take().expect("a job");
        assert_eq!(queue.push(Some(2), 9), Err(9), "a running job keeps its place");
        queue.done(asker);
        queue.push(Some(2), 4).expect("a place is free again");
        assert_eq!(queue.counts(), (4, 0));
    }

    proptest! {
        #[test]
        fn every_job_comes_out_once_and_bounds_hold(steps in prop::collection::vec((0..4_u8, 0..3_u8), 0..200)) {
            let mut queue = Queue::new(9, 4);
            let (mut pushed, mut seen, mut running) = (0_u32, Vec::new(), Vec::new());
            for (who, what) in steps {
                let asker = if who == 0 { None } else { Some(who) };
                match what {
                    0 | 1 => if queue.push(asker, pushed).is_ok() { pushed += 1; },
                    _ => if let Some((asker, job)) = queue.take() { seen.push(job); running.push(asker); },
                }
                let (waits, runs) = queue.counts();
                prop_assert!(waits + runs <= 9 && runs == running.len());
                prop_assert!(queue.taken.values().all(|&taken| taken <= 4));
                if running.len() > 3 { queue.done(running.remove(0)); }
            }
            while let Some((asker, job)) = queue.take() { seen.push(job); running.push(asker); }
            for asker in running { queue.done(asker); }
            seen.sort_unstable();
            prop_assert_eq!(seen, (0..pushed).collect::<Vec<_>>());
            prop_assert!(queue.taken.is_empty() && queue.waiting.is_empty() && queue.counts() == (0, 0));
        }
    }
}
