//! Tells other services of alarms: one POST of JSON for each that begins and ends.
//!
//! Every target has a task and a queue of its own, so that a slow one delays no other; a full queue drops the newest
//! message and logs that. A message is tried five times within about half a minute, then given up, which is logged.
//! No target's URL is ever logged: many have a secret in their path.

use std::time::Duration;

use serde::Serialize;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::stage::{Stage, TaskSpec};
use amphi_config::{Secret, Webhook};
use amphi_control::alarm::{Alarm, Change};

/// Messages that may wait for one target.
const QUEUE: usize = 64;
/// How long one try may take.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The pauses between the tries.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(9), Duration::from_secs(15)];

#[derive(Clone, Debug, Serialize)]
struct WebhookMessage {
    /// `raised` or `cleared`.
    event: &'static str,
    alarm: Alarm,
}

/// The queues of all targets.
#[derive(Debug, Default)]
pub(super) struct Webhooks {
    queues: Vec<mpsc::Sender<WebhookMessage>>,
}

impl Webhooks {
    /// Starts a task for each of `targets`.
    pub(super) fn start(targets: &[Webhook], stage: &mut Stage) -> anyhow::Result<Self> {
        let client = reqwest::Client::builder()
            .timeout(TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .use_preconfigured_tls((*amphi_tls::client_config(None)?).clone())
            .build()?;
        let mut queues = Vec::new();
        for (index, Webhook { url, token }) in targets.iter().enumerate() {
            let (queue, messages) = mpsc::channel(QUEUE);
            let (number, client) = (index + 1, client.clone());
            let (url, token) = (url.clone(), token.clone());
            let target = WebhookTarget { number, client, url, token, messages, current: None };
            let (job, end) = (TaskSpec::new(format!("webhook {number}")), stage.end.clone());
            stage.supervise(job, target, move |target| Box::pin(target.run(end.clone())));
            queues.push(queue);
        }
        Ok(Self { queues })
    }

    /// Tells every target, without waiting.
    pub(super) fn tell(&self, change: &Change) {
        let (event, alarm) = match change {
            Change::Raised(alarm) => ("raised", alarm),
            Change::Cleared(alarm) => ("cleared", alarm),
        };
        for (index, queue) in self.queues.iter().enumerate() {
            if queue.try_send(WebhookMessage { event, alarm: alarm.clone() }).is_err() {
                warn!(webhook = index + 1, "an alarm is not posted: too many are waiting already");
            }
        }
    }
}

struct WebhookTarget {
    /// Its place in the configuration, from 1.
    number: usize,
    client: reqwest::Client,
    url: Secret,
    token: Secret,
    messages: mpsc::Receiver<WebhookMessage>,
    /// The message that is being sent; a run that panics leaves it to the next one.
    current: Option<WebhookMessage>,
}

impl WebhookTarget {
    async fn run(&mut self, end: CancellationToken) {
        loop {
            if let Some(message) = self.current.clone() {
                tokio::select! {
                    () = end.cancelled() => return,
                    () = self.deliver(&message) => self.current = None,
                }
            }
            tokio::select! {
                () = end.cancelled() => return,
                message = self.messages.recv() => match message {
                    Some(message) => self.current = Some(message),
                    None => return end.cancelled().await,
                },
            }
        }
    }

    async fn deliver(&self, message: &WebhookMessage) {
        for pause in PAUSES {
            match self.post(message).await {
                Ok(()) => return,
                Err(why) => debug!(webhook = self.number, why, "an alarm is not posted yet"),
            }
            tokio::time::sleep(pause).await;
        }
        if let Err(why) = self.post(message).await {
            warn!(webhook = self.number, why, alarm = message.alarm.sentence, "an alarm could not be posted");
        }
    }

    async fn post(&self, message: &WebhookMessage) -> Result<(), String> {
        let body = serde_json::to_vec(message).map_err(|error| error.to_string())?;
        let mut request =
            self.client.post(self.url.reveal()).header("content-type", "application/json").body(body);
        if !self.token.is_empty() {
            request = request.bearer_auth(self.token.reveal());
        }
        // The client's errors contain the URL, which may hold a secret.
        let answer = request.send().await.map_err(|error| error.without_url().to_string())?;
        if answer.status().is_success() { Ok(()) } else { Err(format!("it answered {}", answer.status())) }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;
    use amphi_control::alarm::AlarmKind;
    use amphi_media::MediaTime;

    fn silent(sentence: &str) -> Alarm {
        Alarm {
            kind: AlarmKind::Silent,
            source: Some("hall".into()),
            channel: None,
            about: None,
            since: MediaTime::from_millis(1_795_000_000_000),
            sentence: sentence.to_owned(),
        }
    }

    fn tasks() -> amphi_runtime::tasks::Tasks {
        amphi_runtime::tasks::Tasks::new(std::sync::Arc::new(amphi_media::clock::MachineClock))
    }

    async fn answer(listener: &TcpListener, status: &str) -> String {
        let (mut socket, _) = listener.accept().await.expect("a caller");
        let mut request = vec![0; 4096];
        let mut len = 0;
        while !request[..len].ends_with(b"}") {
            len += socket.read(&mut request[len..]).await.expect("bytes");
        }
        let reply = format!("HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        socket.write_all(reply.as_bytes()).await.expect("sent");
        String::from_utf8_lossy(&request[..len]).into_owned()
    }

    #[tokio::test]
    async fn a_target_that_never_answers_delays_nobody() {
        let (deaf, good) = (
            TcpListener::bind("127.0.0.1:0").await.expect("a port"),
            TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        );
        let target = |listener: &TcpListener| Webhook {
            url: Secret::new(format!("http://{}/", listener.local_addr().expect("bound"))),
            token: Secret::default(),
        };
        let mut stage = Stage::new("webhooks", &tasks());
        let hooks = Webhooks::start(&[target(&deaf), target(&good)], &mut stage).expect("a client");
        // More than a queue holds; telling waits for nobody.
        for n in 0..2 * QUEUE {
            hooks.tell(&Change::Cleared(silent(&format!("number {n}."))));
        }
        for n in 0..5 {
            let heard = answer(&good, "200 OK").await;
            assert!(
                heard.contains("\"event\":\"cleared\"") && heard.contains(&format!("number {n}.")),
                "{heard}"
            );
        }
        // In the middle of a try: it is not waited for.
        stage.end(Duration::from_secs(5)).await;
    }

    #[tokio::test]
    async fn an_alarm_is_told_again_until_it_is_taken() {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
        let mut stage = Stage::new("webhooks", &tasks());
        let target = Webhook { url: Secret::new(url), token: Secret::new("chalk") };
        let hooks = Webhooks::start(&[target], &mut stage).expect("a client");
        hooks.tell(&Change::Raised(silent("hall is silent")));
        let first = answer(&listener, "503 Service Unavailable").await;
        let second = answer(&listener, "200 OK").await;
        assert!(first.contains("authorization: Bearer chalk"), "{first}");
        assert!(
            second.contains("\"event\":\"raised\"") && second.contains("\"sentence\":\"hall is silent\"")
        );
        stage.end(Duration::from_secs(5)).await;
    }
}
