//! Bit rates of variants, and the BANDWIDTH that a playlist states (RFC 8216 §4.3.4.2).

use std::collections::HashMap;
use std::hash::Hash;

/// Measured bit rates of a rendition, in bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitRates {
    /// The largest rate of any segment.
    pub peak_bps: u64,
    /// All bits divided by the whole duration.
    pub average_bps: u64,
}

/// What is known about a variant when its BANDWIDTH is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantLoad<G> {
    /// BANDWIDTH has to tell apart only variants of the same group.
    pub group: G,
    /// Rate that it may reach, in bits per second. It decides the order of the variants.
    pub nominal_bps: u64,
    /// Rate of its largest segment, in bits per second.
    pub peak_bps: u64,
}

/// BANDWIDTH of each variant, in the order given, in bits per second. It is at least the peak and at least the nominal rate: a
/// player that opened the playlist during a quiet waiting loop may stay for a lecture. No two variants of a group have the same
/// value, because hls.js before 1.0 takes equal ones for backups of one level. In a group the values have the order of the
/// nominal rates; of two equal ones the first is larger.
pub fn bandwidths<G: Copy + Eq + Hash>(variants: &[VariantLoad<G>]) -> Vec<u64> {
    bandwidths_beside(&[], variants)
}

/// The same of variants that are listed after others: none has a value of `taken` either.
pub fn bandwidths_beside<G: Copy + Eq + Hash>(taken: &[u64], variants: &[VariantLoad<G>]) -> Vec<u64> {
    let mut order: Vec<(usize, &VariantLoad<G>)> = variants.iter().enumerate().rev().collect();
    order.sort_by_key(|(_, variant)| variant.nominal_bps);
    let mut above = HashMap::new();
    let mut stated = vec![0; variants.len()];
    for (index, variant) in order {
        // Most players want a positive number.
        let least = above.entry(variant.group).or_insert(1);
        let mut bandwidth = variant.peak_bps.max(variant.nominal_bps).max(*least);
        while taken.contains(&bandwidth) {
            bandwidth += 1;
        }
        *least = bandwidth + 1;
        if let Some(place) = stated.get_mut(index) {
            *place = bandwidth;
        }
    }
    stated
}
