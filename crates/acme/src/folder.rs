//! What must survive a restart: the account, and the certificate with its key. Readable by this user alone.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use amphi_tls::Identity;

/// Bytes that are read of one file.
const FILE_MAX: u64 = 1 << 20;
/// The account's key and address.
const ACCOUNT: &str = "account.json";
/// The certificate's key, then its chain: one file, so that they are replaced together.
const CERTIFICATE: &str = "certificate.pem";

/// The folder `acme` of the state directory. All methods block.
#[derive(Clone, Debug)]
pub(super) struct AcmeFolder(PathBuf);

impl AcmeFolder {
    pub(super) fn new(state: &Path) -> Self {
        Self(state.join("acme"))
    }

    pub(super) fn account(&self) -> Option<Vec<u8>> {
        self.read(ACCOUNT)
    }

    pub(super) fn keep_account(&self, text: &[u8]) -> io::Result<()> {
        self.write(ACCOUNT, text)
    }

    /// The certificate that was kept, if it can be read.
    pub(super) fn certificate(&self) -> Option<Identity> {
        let pem = self.read(CERTIFICATE)?;
        Identity::from_pem(&pem, &pem).ok()
    }

    pub(super) fn keep_certificate(&self, chain: &str, key: &str) -> io::Result<()> {
        self.write(CERTIFICATE, format!("{key}\n{chain}").as_bytes())
    }

    fn read(&self, name: &str) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        let file = fs::File::open(self.0.join(name)).ok()?;
        file.take(FILE_MAX).read_to_end(&mut bytes).ok()?;
        Some(bytes)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.0)?;
        // Made for this user alone (mkstemp(3)), and said so again.
        let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
        file.as_file().set_permissions(fs::Permissions::from_mode(0o600))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(self.0.join(name)).map_err(|error| error.error)?;
        fs::File::open(&self.0)?.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_again_and_by_nobody_else() {
        let state = tempfile::tempdir().expect("a directory");
        let folder = AcmeFolder::new(state.path());
        assert!(folder.account().is_none() && folder.certificate().is_none());
        let pair = rcgen::generate_simple_self_signed(["a.example.org".to_owned()]).expect("a pair");
        folder.keep_certificate(&pair.cert.pem(), &pair.signing_key.serialize_pem()).expect("kept");
        assert_eq!(folder.certificate().expect("it is there").names(), ["a.example.org"]);
        folder.keep_account(b"{}").expect("kept");
        assert_eq!(folder.account().as_deref(), Some(&b"{}"[..]));
        for name in [ACCOUNT, CERTIFICATE] {
            let mode =
                fs::metadata(state.path().join("acme").join(name)).expect("it is there").permissions().mode();
            assert_eq!(mode & 0o777, 0o600, "{name}");
        }
    }
}
