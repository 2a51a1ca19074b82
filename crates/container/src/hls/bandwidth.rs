//! What a variant takes, and what its playlist says of it (RFC 8216 §4.3.4.2).

use std::collections::HashMap;
use std::hash::Hash;

/// Bits per second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BitRates {
    /// The largest of all segments.
    pub peak_bps: u64,
    /// All bits over all time.
    pub average_bps: u64,
}

/// What is known of a variant before its BANDWIDTH is stated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VariantLoad<G> {
    /// Only variants of one group are told apart by their BANDWIDTH.
    pub group: G,
    /// What it may take, in bits per second: gives the order of the variants.
    pub nominal_bps: u64,
    /// What its largest segment took, in bits per second.
    pub peak_bps: u64,
}

/// BANDWIDTH of each variant, in the order given: no less than its peak, nor than it may take, since a player that opened
/// the playlist under a quiet waiting loop may stay for a lecture. In a group no two are equal, because hls.js before 1.0
/// takes equal ones for backups of one level; and their order is that of the nominal rates, the first one before its equals.
pub fn bandwidths<G: Copy + Eq + Hash>(variants: &[VariantLoad<G>]) -> Vec<u64> {
    let mut order: Vec<(usize, &VariantLoad<G>)> = variants.iter().enumerate().rev().collect();
    order.sort_by_key(|(_, variant)| variant.nominal_bps);
    let mut above = HashMap::new();
    let mut stated = vec![0; variants.len()];
    for (index, variant) in order {
        // BANDWIDTH is a positive number to most players.
        let least = above.entry(variant.group).or_insert(1);
        let bandwidth = variant.peak_bps.max(variant.nominal_bps).max(*least);
        *least = bandwidth + 1;
        if let Some(place) = stated.get_mut(index) {
            *place = bandwidth;
        }
    }
    stated
}
