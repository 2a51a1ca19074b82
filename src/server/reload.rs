//! Reloads: the configuration's file is read again, checked, and taken over or refused.
//!
//! Nothing that is being watched ends by accident. A file is refused unless the reload is confirmed if it would end what
//! people watch, if it has no channel and no mount any more, or if it is the beginning of the file that runs and stops in the
//! middle of a line. A file with faults is always refused. A refusal is an alarm until a file is taken over.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tracing::error;

use super::start::Server;
use amphi_admin::{ReloadAnswer, ReloadOrder, ReloadRefused};
use amphi_config::{Config, Difference, Ending, Part};
use amphi_control::alarm::{AlarmKind, Condition};
use amphi_control::audit::{Action, Entry};

/// A file is used when it has not changed for so long: an editor may be writing.
const SETTLED: Duration = Duration::from_millis(150);
/// How often at most it is read for that.
const LOOKS: usize = 20;
/// How many losses a refusal lists.
const LISTED: usize = 12;

pub(super) struct Reloader {
    path: PathBuf,
    /// The text of the configuration that runs.
    text: String,
}

impl Reloader {
    /// A reloader of the file at `path`; `text` is the configuration that runs.
    pub(super) fn new(path: &Path, text: String) -> Self {
        Self { path: path.to_owned(), text }
    }

    /// Notes that a reload has panicked halfway: an alarm until a file is taken over.
    pub(super) fn fell(&self, server: &Server, why: &str) {
        error!(why, "the new configuration is taken over in part, by a fault of this server");
        let why = format!("taken over in part, by a fault of this server: {why}; amphi reload tries again");
        server.pending.send_replace(Some(self.pending(&ReloadRefused::Failed(why))));
    }

    /// Reads the file and takes it over, or refuses it. `order` is the request that asks for it; `None` for a changed file or
    /// a signal. If taking over fails, what was done until then holds.
    pub(super) async fn reload(&mut self, server: &mut Server, order: Option<ReloadOrder>) {
        let (confirm, entry, answer) = match order {
            Some(ReloadOrder { confirm, entry, answer }) => (confirm, entry, Some(answer)),
            None => (false, Entry::new(server.clocks.wall.now(), "configuration", Action::Reload), None),
        };
        let done = self.take_over(server, confirm).await;
        match &done {
            Ok(done) => {
                server.pending.send_replace(None);
                server.audit.record(entry.saying(&done.sentence));
            }
            Err(refused) => {
                server.pending.send_replace(Some(self.pending(refused)));
                server.audit.record(entry.result(&Err::<(), _>(refused)));
            }
        }
        if !matches!(done, Err(ReloadRefused::Faulty(_) | ReloadRefused::Loses(_))) {
            // The matrix has its new layout, so the schedule may name new channels. In the audit log its commands come after
            // the reload that caused them.
            server.orders.send_replace(Arc::new(server.running.config().clone()));
        }
        if let Some(answer) = answer {
            // It fails if the caller has gone.
            let _ = answer.send(done);
        }
    }

    async fn take_over(&mut self, server: &mut Server, confirm: bool) -> Result<ReloadAnswer, ReloadRefused> {
        let text = self.settled().await;
        // The text that is checked is the one that is taken over: the file may change meanwhile.
        let config = Config::load_read(&self.path, text.as_deref()).map_err(|faults| {
            error!("the new configuration has faults, the old one stays\n{faults}");
            ReloadRefused::Faulty(faults.to_string())
        })?;
        let text = text.unwrap_or_default();
        let difference = server.running.difference(&config);
        if !confirm {
            let losses = server.running.losses(&difference);
            if let Some(why) = refusal(&self.text, &text, &config, &difference, &losses) {
                error!("the new configuration is not taken over, the old one stays: {why}");
                return Err(ReloadRefused::Loses(why));
            }
        }
        let sentence = server.running.reload(config).await.map_err(|error| {
            error!("the new configuration is taken over in part: {error:#}");
            ReloadRefused::Failed(format!("taken over in part: {error:#}"))
        })?;
        self.text = text;
        Ok(ReloadAnswer {
            sentence,
            changes: difference.lines,
            ended: difference.endings.iter().map(ToString::to_string).collect(),
            restart: difference.restart.iter().map(ToString::to_string).collect(),
        })
    }

    /// The file's text, once it has not changed for a moment.
    async fn settled(&self) -> io::Result<String> {
        let read = || std::fs::read_to_string(&self.path);
        let mut text = read();
        for _ in 0..LOOKS {
            tokio::time::sleep(SETTLED).await;
            let now = read();
            if matches!((&now, &text), (Ok(now), Ok(text)) if now == text) {
                break;
            }
            text = now;
        }
        text
    }

    fn pending(&self, refused: &ReloadRefused) -> Condition {
        let file = self.path.display();
        let sentence = match refused {
            // Only the first fault; `amphi check` and the log have all of them.
            ReloadRefused::Faulty(why) => {
                let first = why.lines().next().unwrap_or_default();
                format!(
                    "{file} is not what runs: it has faults ({first}); mend it, amphi check lists all of them"
                )
            }
            ReloadRefused::Loses(why) => format!("{file} is not what runs: {why}"),
            ReloadRefused::Failed(why) => format!("{file}: {why}"),
        };
        let kind = AlarmKind::Configuration;
        Condition { kind, source: None, channel: None, about: None, sentence, since: None }
    }
}

/// Why `text` is not taken over without a confirmation, if so. `running` is the text that runs.
fn refusal(
    running: &str,
    text: &str,
    config: &Config,
    difference: &Difference,
    losses: &[String],
) -> Option<String> {
    const HOW: &str = "to reload nevertheless: amphi reload --yes";
    if difference.endings.is_empty() {
        return None;
    }
    let shown = |it: &Ending| matches!(it.part, Part::Channel | Part::Mount);
    let nothing =
        config.channels.is_empty() && config.vods.is_empty() && difference.endings.iter().any(shown);
    let in_a_line = text.rsplit('\n').next().is_some_and(|line| !line.trim().is_empty());
    let cut = in_a_line && running.starts_with(text) && running.trim_end() != text.trim_end();
    let what = if nothing {
        "it has no channel and no mount any more: is it empty?".to_owned()
    } else if cut {
        "it is the beginning of the file that runs and stops in the middle of a line: is it cut off?"
            .to_owned()
    } else if losses.is_empty() {
        return None;
    } else {
        let more = losses.len().saturating_sub(LISTED);
        let rest = if more > 0 { format!("; and {more} more") } else { String::new() };
        let listed: Vec<_> = losses.iter().take(LISTED).map(String::as_str).collect();
        format!("it would end what people watch: {}{rest}", listed.join("; "))
    };
    Some(format!("{what}; {HOW}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUNS: &str = "[[vod]]\nname = \"a\"\nroot = \"/a\"\n[[vod]]\nname = \"b\"\nroot = \"/bb\"\n";

    fn judged(text: &str, losses: &[&str]) -> Option<String> {
        let read = |text: &str| Config::parse(text, "c.toml").unwrap_or_else(|faults| panic!("{faults}"));
        let (config, losses) = (read(text), losses.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>());
        let difference = Difference::new(&read(RUNS), &config);
        refusal(RUNS, text, &config, &difference, &losses)
    }

    #[test]
    fn what_ends_nothing_that_is_watched_is_taken_over() {
        assert_eq!(judged(RUNS, &[]), None);
        assert_eq!(judged(RUNS.trim_end(), &[]), None, "an editor's last newline");
        assert_eq!(judged("[[vod]]\nname = \"a\"\nroot = \"/a\"\n", &[]), None, "nobody watches the other");
    }

    #[test]
    fn an_empty_file_and_one_that_is_cut_off_are_refused_whoever_watches() {
        for text in ["", "\n\n", "# nothing\n", "[console]\n"] {
            assert!(judged(text, &[]).is_some_and(|why| why.contains("is it empty?")), "{text:?}");
        }
        // In the middle of a value the file would have a fault; in the middle of a comment or a number it has none.
        let cut = judged("[[vod]]\nname = \"a\"\nroot = \"/a\"", &[]);
        assert!(cut.is_some_and(|why| why.contains("is it cut off?")));
    }

    #[test]
    fn what_people_watch_is_listed_with_the_way_to_end_it() {
        let why = judged("[[vod]]\nname = \"a\"\nroot = \"/a\"\n", &["mount \"b\" is ended (read 3 s ago)"]);
        let why = why.expect("somebody watches");
        assert!(
            why.contains("mount \"b\" is ended (read 3 s ago)") && why.contains("amphi reload --yes"),
            "{why}"
        );
        let many = ["x"; 40];
        assert!(
            judged("[[vod]]\nname = \"a\"\nroot = \"/a\"\n", &many)
                .is_some_and(|why| why.contains("28 more"))
        );
    }
}
