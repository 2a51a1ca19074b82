//! `/v2/machine/monitoring/current`: load and memory of the machine, from Linux's `/proc`. On other systems all are 0.

use std::fs;

use amphi_media::Lock;
use serde_json::{Value, json};

use super::SERVER;

/// Jiffies of all processors: idle, user, system (proc(5), `/proc/stat`).
type Jiffies = [u64; 3];

/// Keeps the last counts, since the load of processors is measured between two requests.
#[derive(Debug, Default)]
pub(super) struct Machine(Lock<Jiffies>);

impl Machine {
    /// The body of the answer. `uptime_s` is this server's.
    pub(super) fn current(&self, uptime_s: u64) -> Value {
        let [idle, user, system] = self.processors();
        let (total, available) = memory();
        let (disk_free, disk_used) = disk();
        json!({
            "serverName": SERVER, "serverUptime": uptime_s, "cpuIdle": idle, "cpuUser": user, "cpuSystem": system,
            "memoryFree": available, "memoryUsed": total.saturating_sub(available), "heapFree": 0, "heapUsed": resident(),
            "diskFree": disk_free, "diskUsed": disk_used,
        })
    }

    /// Percent idle, in user mode and in the kernel, since the last call; at the first since the machine started.
    fn processors(&self) -> [u64; 3] {
        let now = jiffies(&fs::read_to_string("/proc/stat").unwrap_or_default()).unwrap_or_default();
        let mut before = self.0.lock();
        let parts: [u64; 3] = std::array::from_fn(|at| now[at].saturating_sub(before[at]));
        *before = now;
        let all = parts.iter().sum::<u64>().max(1);
        parts.map(|part| part * 100 / all)
    }
}

fn jiffies(stat: &str) -> Option<Jiffies> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let fields: Vec<u64> = fields.map_while(|field| field.parse().ok()).collect();
    let [user, nice, system, idle, waiting, irq, soft_irq, ..] = fields.as_slice() else { return None };
    Some([idle + waiting, user + nice, system + irq + soft_irq])
}

/// Bytes of memory: in all, and available.
pub(super) fn memory() -> (u64, u64) {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    (kilobytes(&text, "MemTotal:"), kilobytes(&text, "MemAvailable:"))
}

fn resident() -> u64 {
    kilobytes(&fs::read_to_string("/proc/self/status").unwrap_or_default(), "VmRSS:")
}

/// A field in kB, converted to bytes.
fn kilobytes(text: &str, name: &str) -> u64 {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    number.unwrap_or(0).saturating_mul(1024)
}

/// Bytes free and used on the file system of the working directory.
fn disk() -> (u64, u64) {
    rustix::fs::statvfs(".").map_or((0, 0), |stat| {
        let size = |blocks: u64| blocks.saturating_mul(stat.f_frsize);
        (size(stat.f_bavail), size(stat.f_blocks.saturating_sub(stat.f_bfree)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processors_are_read_as_proc_tells_them() {
        let stat = "cpu  100 20 30 800 50 4 6 0 0 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(jiffies(stat), Some([850, 120, 40]));
        assert_eq!(jiffies(""), None);
        assert_eq!(jiffies("cpu  1 2 x"), None);
    }

    #[test]
    fn memory_and_disk_are_there() {
        assert_eq!(kilobytes("MemTotal:       8088320 kB\n", "MemTotal:"), 8_088_320 * 1024);
        let (total, available) = memory();
        assert!(0 < available && available <= total);
        let body = Machine::default().current(7);
        assert!(body["diskFree"].as_u64() > Some(0) && body["serverUptime"] == 7);
        let percent = ["cpuIdle", "cpuUser", "cpuSystem"].map(|key| body[key].as_u64().expect("a number"));
        assert!(percent.iter().sum::<u64>() <= 100);
    }
}
