//! `amphi reload`: asks the server that runs with a configuration to read it again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use http::StatusCode;
use serde::Deserialize;

use amphi_config::Config;

/// How long to wait for the answer: a new channel's waiting video is coded before it comes.
const PATIENCE: Duration = Duration::from_secs(300);

/// The server's answer, in lines to be printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReloadOutcome {
    /// Whether the configuration was taken over.
    pub done: bool,
    /// Whether the server could not be asked: its port is not known, or it has another token. SIGHUP still works.
    pub deaf: bool,
    text: String,
}

impl fmt::Display for ReloadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[derive(Deserialize)]
struct ReloadDone {
    sentence: String,
    changes: Vec<String>,
    ended: Vec<String>,
    restart: Vec<String>,
}

#[derive(Deserialize)]
struct NotDone {
    detail: String,
}

/// Asks the server whose configuration is at `path` to take it over, with `confirm` also if that ends what people watch.
/// The server is where the configuration's `admin_listen` says, or at `admin`; the token is the configuration's. Fails if no
/// server answers.
pub async fn reload(path: &Path, admin: Option<SocketAddr>, confirm: bool) -> anyhow::Result<ReloadOutcome> {
    let config = match Config::load(path) {
        Ok(config) => config,
        Err(faults) => {
            let text = format!("{faults}\nnot taken over: the file has faults");
            return Ok(ReloadOutcome { done: false, deaf: false, text });
        }
    };
    let address = match admin {
        Some(address) => address,
        None => config.server.admin_listen.parse().map(reachable).context("server.admin_listen")?,
    };
    if address.port() == 0 {
        let text = format!(
            "{} does not say where the admin port is: give its address with --admin ADDRESS, or use kill -HUP, which does \
             the same without an answer",
            path.display()
        );
        return Ok(ReloadOutcome { done: false, deaf: true, text });
    }
    let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE);
    // A certificate is for the name that others use; what answers on this machine's own address is taken for the server, as in
    // the clear.
    let is_tls = config.server.admin_tls;
    let client = client.danger_accept_invalid_certs(is_tls && address.ip().is_loopback()).build()?;
    let scheme = if is_tls { "https" } else { "http" };
    let body = format!("{{\"confirm\":{confirm}}}");
    let mut request = client.post(format!("{scheme}://{address}/api/v1/reload"));
    if !config.admin.token.is_empty() {
        request = request.bearer_auth(config.admin.token.reveal());
    }
    let request = request.header("Content-Type", "application/json").body(body);
    let answer = request.send().await.with_context(|| {
        format!(
            "no server answers at {address}, where {} says that it is; if it was started with another address, use \
             kill -HUP",
            path.display()
        )
    })?;
    let status = answer.status();
    let body = answer.bytes().await.context("the answer")?;
    if status.is_success() {
        let done: ReloadDone = serde_json::from_slice(&body).context("the answer cannot be read")?;
        let restart =
            done.restart.into_iter().map(|section| format!("restart: {section} is read at start only"));
        let ended = done.ended.into_iter().map(|what| format!("reload: {what}"));
        let lines: Vec<_> =
            done.changes.into_iter().chain(ended).chain(restart).chain([done.sentence]).collect();
        return Ok(ReloadOutcome { done: true, deaf: false, text: lines.join("\n") });
    }
    let detail = serde_json::from_slice::<NotDone>(&body).map_or_else(|_| status.to_string(), |it| it.detail);
    let deaf = status == StatusCode::UNAUTHORIZED;
    let hint = if deaf {
        "; the server still has the admin token of its start: use kill -HUP, which does the same without an answer"
    } else {
        ""
    };
    Ok(ReloadOutcome { done: false, deaf, text: format!("not taken over: {detail}{hint}") })
}

/// The address under which a server is reached from this machine: loopback if it listens on every address.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_server_that_cannot_be_asked_is_told_from_one_that_refuses() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("config.toml");
        std::fs::write(&path, "[server]\nadmin_listen = \"127.0.0.1:0\"\n").expect("written");
        let said = reload(&path, None, false).await.expect("an answer");
        assert!(!said.done && said.deaf && said.to_string().contains("kill -HUP"), "{said}");

        // One that has another token.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move {
            let (mut asked, _) = listener.accept().await.expect("somebody");
            asked.read_buf(&mut Vec::with_capacity(4096)).await.expect("a request");
            let refusal = b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno";
            asked.write_all(refusal).await.expect("it listens");
            // Until the other end has read it.
            let _ = asked.read_buf(&mut Vec::with_capacity(4096)).await;
        });
        let said = reload(&path, Some(address), false).await.expect("an answer");
        assert!(!said.done && said.deaf && said.to_string().contains("token of its start"), "{said}");

        std::fs::write(&path, "nonsense = 1\n").expect("written");
        let said = reload(&path, Some(address), false).await.expect("an answer");
        assert!(!said.done && !said.deaf && said.to_string().contains("nonsense"), "{said}");
    }

    #[test]
    fn a_server_that_listens_everywhere_is_asked_on_this_machine() {
        for (listen, asked) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:2", "[::1]:2"), ("192.0.2.1:3", "192.0.2.1:3")]
        {
            assert_eq!(listen.parse().map(reachable), asked.parse());
        }
    }
}
