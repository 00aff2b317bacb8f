//! A consistent hash without a ring: every node draws a number from the key, and the largest one, by weight, has it.
//! When a node goes, only its keys go elsewhere; shares are as the weights are, however large these get.
//!
//! The numbers are the same on every machine and in every version: they are FNV-1a's, mixed.

use super::super::model::Node;

/// The node that a key belongs to.
pub fn best<'a>(key: &[u8], nodes: impl Iterator<Item = &'a Node>) -> Option<&'a Node> {
    let mut of_key = Hash::default();
    of_key.add(key);
    let score = |node: &Node| {
        let mut hash = of_key.clone();
        hash.add_node(node);
        // In (0, 1), so that the logarithm is below zero; a heavier node is nearer to it.
        let drawn = ((hash.value() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        drawn.ln() / f64::from(node.weight)
    };
    nodes.map(|node| (score(node), node)).max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, node)| node)
}

/// FNV-1a of several parts, of which none can run into the next.
#[derive(Debug, Clone)]
pub struct Hash(u64);

impl Default for Hash {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hash {
    /// Adds a part.
    pub fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.step(*byte);
        }
        for byte in (bytes.len() as u64).to_be_bytes() {
            self.step(byte);
        }
    }

    /// Adds a node by its address.
    pub fn add_node(&mut self, node: &Node) {
        self.add(node.host.as_bytes());
        self.add(&node.port.to_be_bytes());
    }

    /// What it comes to, with every bit depending on all.
    pub fn value(&self) -> u64 {
        let mut value = self.0;
        value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        value ^ (value >> 31)
    }

    fn step(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
}
