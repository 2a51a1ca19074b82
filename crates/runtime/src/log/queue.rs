//! Lines that wait to be written, bounded in number and in bytes. Those that find no room are dropped and counted. Pure.

use std::collections::VecDeque;

const LINES: usize = 8192;
const BYTES: usize = 2 << 20;

#[derive(Debug, Default)]
pub(super) struct LineQueue {
    lines: VecDeque<Vec<u8>>,
    bytes: usize,
    dropped: u64,
    /// Dropped lines that the log does not mention yet.
    unsaid: u64,
    /// Lines that were queued.
    pub(super) came: u64,
    /// Those of them that were written, or could not be.
    pub(super) done: u64,
}

impl LineQueue {
    pub(super) const fn new() -> Self {
        Self { lines: VecDeque::new(), bytes: 0, dropped: 0, unsaid: 0, came: 0, done: 0 }
    }

    /// Queues a line, or drops it where there is no room.
    pub(super) fn push(&mut self, line: Vec<u8>) {
        if self.lines.len() >= LINES || self.bytes + line.len() > BYTES {
            return self.lost(1);
        }
        self.bytes += line.len();
        self.came += 1;
        self.lines.push_back(line);
    }

    pub(super) fn pop(&mut self) -> Option<Vec<u8>> {
        let line = self.lines.pop_front()?;
        self.bytes -= line.len();
        Some(line)
    }

    /// Counts lines that were dropped, here or by the writer.
    pub(super) fn lost(&mut self, count: u64) {
        self.dropped += count;
        self.unsaid += count;
    }

    /// All lines dropped since start.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Lines dropped since the last call.
    pub(super) fn take_unsaid(&mut self) -> u64 {
        std::mem::take(&mut self.unsaid)
    }

    /// Puts back what [`Queue::take_unsaid`] gave: the line about it could not be written.
    pub(super) fn unsay(&mut self, count: u64) {
        self.unsaid += count;
    }

    /// The writer has panicked: the line that it was writing is lost, and nobody waits for it.
    pub(super) fn give_up(&mut self) {
        let held = self.came.saturating_sub(self.done).saturating_sub(self.lines.len() as u64);
        self.done += held;
        self.lost(held);
    }

    /// Whether no line waits and none is being written.
    pub(super) const fn is_idle(&self) -> bool {
        self.came == self.done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_fallen_writer_held_is_lost_and_nothing_else() {
        let mut queue = LineQueue::default();
        queue.push(vec![b'x']);
        queue.push(vec![b'y']);
        queue.pop();
        queue.give_up();
        assert_eq!((queue.dropped(), queue.is_idle()), (1, false));
        assert_eq!(queue.pop(), Some(vec![b'y']));
        queue.done += 1;
        queue.give_up();
        assert_eq!((queue.dropped(), queue.is_idle()), (1, true));
    }

    #[test]
    fn the_queue_is_bounded_in_lines_and_in_bytes_and_counts_what_it_drops() {
        let mut queue = LineQueue::default();
        for number in 0..2 * LINES {
            queue.push(vec![number as u8; 10]);
        }
        assert_eq!((queue.lines.len(), queue.dropped()), (LINES, LINES as u64));
        let mut queue = LineQueue::default();
        for _ in 0..BYTES {
            queue.push(vec![b'x'; 8 << 10]);
        }
        assert_eq!(queue.bytes, BYTES);
        assert_eq!(queue.take_unsaid(), (BYTES - BYTES / (8 << 10)) as u64);
        assert_eq!(queue.take_unsaid(), 0, "said once");
        while queue.pop().is_some() {
            queue.done += 1;
        }
        assert!(queue.is_idle() && queue.bytes == 0);
        queue.push(vec![b'y']);
        assert_eq!(queue.pop(), Some(vec![b'y']), "there is room again");
    }
}
