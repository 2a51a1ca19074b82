//! A mutex for values that threads share; it has no poison.
//!
//! A thread that panics while it holds a [`Mutex`] poisons it, so that no other thread sees a value that is half changed.
//! With [`Lock`] the next thread takes the value as it is. A panic ends one task or thread, which its supervisor starts
//! again; what it shared has to go on, or one hall's fault would end all that use the lock. This is right as long as the
//! value is valid after every statement under the lock: a count, a map, an `Option` that is replaced. So code under a lock
//! never waits, never calls back, and never leaves the value invalid for a later statement to repair.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::Duration;

/// A mutex without poison: locking it never fails.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Waits until no other thread holds it.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The value, unless another thread holds it. Never waits.
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        match self.0.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poison)) => Some(poison.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }

    /// Releases the value until `signal` is notified. May wake without a notification, as [`Condvar::wait`] may.
    pub fn wait<'a>(signal: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        signal.wait(guard).unwrap_or_else(PoisonError::into_inner)
    }

    /// The same as [`Self::wait`], but for `patience` at most.
    pub fn wait_timeout<'a>(
        signal: &Condvar,
        guard: MutexGuard<'a, T>,
        patience: Duration,
    ) -> MutexGuard<'a, T> {
        signal.wait_timeout(guard, patience).unwrap_or_else(PoisonError::into_inner).0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_outlives_the_thread_that_panicked_with_it() {
        let lock = Lock::new(1);
        let fell = std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                let mut held = lock.lock();
                *held = 2;
                std::panic::resume_unwind(Box::new(()));
            });
            thread.join()
        });
        assert!(fell.is_err() && lock.0.is_poisoned());
        assert_eq!(*lock.lock(), 2);
        let held = lock.try_lock().expect("nobody has it");
        assert!(lock.try_lock().is_none());
        drop(held);
    }
}
