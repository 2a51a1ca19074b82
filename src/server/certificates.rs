//! The certificates of all ports: read at start, and again and again.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::stage::{Stage, TaskSpec};
use crate::delivery::AcmeProofs;
use amphi_acme::{AcmeSettings, ExternalAccount, ProofBoard, ProofKind, Renewer, external_key};
use amphi_config::{AcmeChallenge, Certificate, Config};
use amphi_media::clock::WallClock;
use amphi_media::meter::Note;
use amphi_runtime::socket::Handshakes;
use amphi_tls::{CertificateStore, Identity, Offered, PairKeeper, server_config};

/// The time between two looks at the files.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Bytes that are read of one file.
const PEM_LIMIT: u64 = 1 << 20;

/// The certificates that are shown.
#[derive(Clone, Debug)]
pub(super) struct Certificates {
    pub(super) store: CertificateStore,
    pub(super) handshakes: Handshakes,
    /// For an authority that asks over plain HTTP.
    pub(super) proofs: AcmeProofs,
    /// What is wrong with certificates.
    pub(super) note: Arc<Note>,
}

/// The files that are looked at.
struct Watched {
    certificates: Certificates,
    pairs: Vec<(Certificate, PairKeeper)>,
    /// The configuration lists others, or in another order, than are shown.
    is_listed_anew: bool,
    config: watch::Receiver<Arc<Config>>,
    clock: Arc<dyn WallClock>,
}

/// What lies in the files of a pair.
type Contents = Result<(Vec<u8>, Vec<u8>), String>;

impl Certificates {
    /// No certificates yet. Fails if the system gives no random bytes.
    pub(super) fn new() -> anyhow::Result<Self> {
        let store = CertificateStore::default();
        let handshakes = Handshakes::new(server_config(store.clone())?);
        Ok(Self { store, handshakes, proofs: AcmeProofs::default(), note: Arc::default() })
    }

    /// Reads the files of the configuration, and looks at them until the stage ends; or gets certificates from an authority.
    pub(super) fn watch(
        &self,
        config: watch::Receiver<Arc<Config>>,
        clock: Arc<dyn WallClock>,
        stage: &mut Stage,
    ) -> anyhow::Result<()> {
        let (acme, state) = {
            let config = config.borrow();
            (acme(&config)?, config.server.state_dir.clone())
        };
        let mut watched = Watched {
            certificates: self.clone(),
            pairs: Vec::new(),
            is_listed_anew: false,
            config,
            clock: Arc::clone(&clock),
        };
        watched.configure();
        let contents = read_all(&watched.names());
        watched.judge(&contents);
        let end = stage.end.clone();
        stage.supervise(TaskSpec::new("certificates"), watched, move |it| Box::pin(it.run(end.clone())));
        if let Some(settings) = acme {
            let shown = (self.store.clone(), Arc::clone(&self.note));
            let renewer = Renewer::new(settings, &state, Arc::new(self.clone()), shown, clock);
            let end = stage.end.clone();
            stage.supervise(TaskSpec::new("acme"), renewer, move |it| Box::pin(it.run(end.clone())));
        }
        Ok(())
    }
}

impl Watched {
    async fn run(&mut self, end: CancellationToken) {
        loop {
            let changed = tokio::select! {
                () = end.cancelled() => return,
                changed = self.config.changed() => changed.is_ok(),
                () = tokio::time::sleep(LOOK_EVERY) => false,
            };
            if changed {
                self.configure();
            }
            let names = self.names();
            if names.is_empty() && !changed {
                continue;
            }
            // A file may lie on a share that does not answer.
            let read = tokio::task::spawn_blocking(move || read_all(&names));
            let contents = tokio::select! {
                () = end.cancelled() => return,
                contents = read => contents.unwrap_or_default(),
            };
            self.judge(&contents);
        }
    }

    fn names(&self) -> Vec<Certificate> {
        self.pairs.iter().map(|(files, _)| files.clone()).collect()
    }

    /// Takes the pairs of the configuration in force; those that it had before keep what they show.
    fn configure(&mut self) {
        let config = Arc::clone(&self.config.borrow_and_update());
        let is_same = self.pairs.iter().map(|(files, _)| files).eq(&config.tls.certificates);
        self.is_listed_anew |= !is_same;
        let mut before = std::mem::take(&mut self.pairs);
        for files in &config.tls.certificates {
            let known = before.iter().position(|(known, _)| known == files);
            let keeper = known.map_or_else(PairKeeper::default, |at| before.swap_remove(at).1);
            self.pairs.push((files.clone(), keeper));
        }
    }

    fn judge(&mut self, contents: &[Contents]) {
        let now_s = self.clock.now().as_millis() / 1000;
        let (mut complaints, mut taken) = (Vec::new(), Vec::new());
        for ((files, keeper), contents) in self.pairs.iter_mut().zip(contents) {
            let chain = files.chain.display();
            let files = contents.as_ref().map(|(chain, key)| (&**chain, &**key)).map_err(Clone::clone);
            match keeper.offer(files, now_s) {
                Offered::Same => {}
                Offered::Taken(pair) => {
                    taken.push((chain.to_string(), pair));
                }
                Offered::Refused(why) => {
                    warn!(%chain, why, "a certificate is refused, what was shown before stays");
                }
            }
            complaints.extend(keeper.complaint(now_s).map(|why| format!("{chain}: {why}")));
        }
        let is_listed_anew = std::mem::take(&mut self.is_listed_anew);
        if self.pairs.is_empty() && !is_listed_anew {
            // What ACME has got is not ours to judge.
            return;
        }
        if !taken.is_empty() || is_listed_anew {
            let shown = self.pairs.iter().filter_map(|(_, keeper)| keeper.shown());
            self.certificates.store.show(shown);
        }
        for (chain, pair) in taken {
            let days = (pair.span_s().1 - now_s) / 86_400;
            info!(chain, names = ?pair.names(), days, "a certificate is shown");
        }
        if complaints.is_empty() {
            self.certificates.note.clear();
        } else {
            self.certificates.note.set(&complaints.join("; "));
        }
    }
}

fn read_all(pairs: &[Certificate]) -> Vec<Contents> {
    let pair = |files: &Certificate| Ok((read(&files.chain)?, read(&files.key)?));
    pairs.iter().map(pair).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let why = |error: std::io::Error| format!("{}: {error}", path.display());
    // Opening a named pipe would wait for its writer.
    if !std::fs::metadata(path).map_err(why)?.is_file() {
        return Err(format!("{}: not a file", path.display()));
    }
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(PEM_LIMIT).read_to_end(&mut bytes)).map_err(why)?;
    Ok(bytes)
}

impl ProofBoard for Certificates {
    fn in_tls(&self, domain: &str, proof: Option<&Identity>) {
        self.store.challenge(domain, proof);
    }

    fn over_http(&self, token: &str, proof: Option<&str>) {
        match proof {
            Some(proof) => self.proofs.show(token, proof),
            None => self.proofs.hide(token),
        }
    }
}

/// What `[tls.acme]` asks for; `None` if it is off. Fails if a file or the external account's key cannot be read.
fn acme(config: &Config) -> anyhow::Result<Option<AcmeSettings>> {
    let acme = &config.tls.acme;
    if !config.tls.has_acme() {
        return Ok(None);
    }
    let external = if acme.eab_key_id.is_empty() {
        None
    } else {
        let key =
            external_key(acme.eab_hmac_key.reveal()).context("tls.acme.eab_hmac_key is not base64url")?;
        Some(ExternalAccount { id: acme.eab_key_id.clone(), key })
    };
    let ca_pem = if acme.ca_file.as_os_str().is_empty() {
        None
    } else {
        Some(read(&acme.ca_file).map_err(anyhow::Error::msg).context("tls.acme.ca_file")?)
    };
    Ok(Some(AcmeSettings {
        directory: acme.directory.clone(),
        domains: acme.domains.clone(),
        contact: acme.contact.clone(),
        external,
        proof: match acme.challenge {
            AcmeChallenge::TlsAlpn01 => ProofKind::TlsAlpn01,
            AcmeChallenge::Http01 => ProofKind::Http01,
        },
        ca_pem,
    }))
}
