//! The demo's halls.

use std::collections::BTreeMap;

use amphi_simulator::{SimulatedFault, Simulator};

/// The simulated halls, by their sources' names.
#[derive(Debug, Default)]
pub(super) struct Halls(pub(super) BTreeMap<&'static str, Simulator>);

impl Halls {
    /// Makes a hall fail, or mends it; `false` if there is no such hall.
    pub(super) fn set_fault(&self, hall: &str, fault: Option<SimulatedFault>) -> bool {
        self.0.get(hall).map(|simulator| simulator.set_fault(fault)).is_some()
    }

    /// Every hall with its fault, if it has one.
    pub(super) fn faults(&self) -> impl Iterator<Item = (&'static str, Option<SimulatedFault>)> {
        self.0.iter().map(|(name, simulator)| (*name, simulator.fault()))
    }
}
