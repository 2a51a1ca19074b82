//! Keeps a certificate that does not end: the shell around [`RenewalPlan`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use amphi_media::clock::WallClock;
use amphi_media::meter::Note;
use amphi_tls::{CertificateStore, Identity, Validity};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::folder::AcmeFolder;
use super::order::{AcmeFault, AcmeSettings, ProofBoard, order};
use super::plan::RenewalPlan;

/// How long one order may take in all.
const ORDER: Duration = Duration::from_secs(360);
/// The clock is looked at so often at least: a machine may sleep.
const LOOK_EVERY_S: i64 = 600;

/// Gets certificates from an authority and shows them.
pub struct Renewer {
    settings: AcmeSettings,
    folder: AcmeFolder,
    board: Arc<dyn ProofBoard>,
    store: CertificateStore,
    /// Why there is no certificate, or none that lasts.
    note: Arc<Note>,
    clock: Arc<dyn WallClock>,
    plan: RenewalPlan,
}

impl Renewer {
    /// One that keeps its files beneath `state`, shows its certificate in `store`, and says in `note` what is wrong. A
    /// certificate that was kept is shown at once. Blocks.
    pub fn new(
        settings: AcmeSettings,
        state: &Path,
        board: Arc<dyn ProofBoard>,
        (store, note): (CertificateStore, Arc<Note>),
        clock: Arc<dyn WallClock>,
    ) -> Self {
        let folder = AcmeFolder::new(state);
        let plan = RenewalPlan::default();
        let mut renewer = Self { settings, folder, board, store, note, clock, plan };
        if let Some(kept) = renewer.folder.certificate().filter(|kept| renewer.is_good(kept)) {
            renewer.show(kept);
        }
        renewer
    }

    /// Works until `end`.
    pub async fn run(&mut self, end: CancellationToken) {
        loop {
            let wait = self.plan.wait_s(self.now_s());
            if wait > 0 {
                let wait = Duration::from_secs(wait.min(LOOK_EVERY_S).unsigned_abs());
                tokio::select! {
                    () = end.cancelled() => return,
                    () = tokio::time::sleep(wait) => continue,
                }
            }
            let ordered = tokio::time::timeout(ORDER, order(&self.settings, &self.folder, &self.board));
            let ordered = tokio::select! {
                () = end.cancelled() => return,
                ordered = ordered => ordered.unwrap_or(Err(AcmeFault::Late)),
            };
            match ordered {
                Ok(identity) => {
                    self.show(identity);
                    self.plan.had(self.now_s());
                    self.note.clear();
                }
                Err(fault) => {
                    let now_s = self.now_s();
                    self.plan.failed(now_s);
                    let again_s = self.plan.wait_s(now_s);
                    warn!(%fault, again_s, "no certificate from the authority");
                    let names = self.settings.domains.join(", ");
                    self.note.set(&format!("no new certificate for {names} from tls.acme: {fault}"));
                }
            }
        }
    }

    fn show(&mut self, identity: Identity) {
        let days = (identity.span_s().1 - self.now_s()) / 86_400;
        info!(names = ?identity.names(), days, "a certificate of the authority is shown");
        self.plan.has(&identity);
        self.store.show([&Arc::new(identity)]);
    }

    /// Whether it is valid, and for all that is wanted.
    fn is_good(&self, identity: &Identity) -> bool {
        let wanted = |domain: &String| identity.names().contains(&domain.to_ascii_lowercase());
        matches!(identity.validity(self.now_s()), Validity::Good | Validity::Ending(_))
            && self.settings.domains.iter().all(wanted)
    }

    fn now_s(&self) -> i64 {
        self.clock.now().as_millis().div_euclid(1000)
    }
}

impl std::fmt::Debug for Renewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Renewer").field("domains", &self.settings.domains).finish_non_exhaustive()
    }
}
