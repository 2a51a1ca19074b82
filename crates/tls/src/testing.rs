//! Certificates for tests.

const DAY: i64 = 86_400;

/// Chain and key, as PEM, valid on the days from and until which are counted from the epoch.
pub(crate) fn made_until(names: &[&str], from: i64, until: i64) -> (String, String) {
    let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = rcgen::CertificateParams::new(names).expect("names");
    let epoch = rcgen::date_time_ymd(1970, 1, 1);
    let at = |day: i64| epoch + std::time::Duration::from_secs((day * DAY) as u64);
    (params.not_before, params.not_after) = (at(from), at(until));
    let key = rcgen::KeyPair::generate().expect("a key");
    (params.self_signed(&key).expect("a certificate").pem(), key.serialize_pem())
}

/// Chain and key, as PEM, valid on the days 100 to 200.
pub(crate) fn made(names: &[&str]) -> (String, String) {
    made_until(names, 100, 200)
}
