//! Rows in another order (rule C5): RETURNING promises none.

use super::protocol::Message;

/// A source of orders: SplitMix64, which gives the same ones for the same seed.
pub struct Shuffle {
    state: u64,
}

impl Shuffle {
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    const fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Gives every row another place: Sattolo's algorithm makes one cycle of all.
    pub fn shuffle(&mut self, rows: &mut [Message]) {
        for last in (1..rows.len()).rev() {
            let other = self.next() % last as u64;
            rows.swap(last, usize::try_from(other).unwrap());
        }
    }
}

/// Whether a statement writes and no ORDER BY holds for what it returns.
pub fn has_no_order(text: &str) -> bool {
    let text = text.trim_start().to_uppercase();
    let writes = ["INSERT", "UPDATE", "DELETE", "MERGE", "WITH"].iter().any(|verb| text.starts_with(verb));
    let returning = text.rfind("RETURNING");
    // An ORDER BY in front of RETURNING is that of the rows that are inserted.
    let result = returning.map_or(&*text, |from| &text[from..]);
    (writes || returning.is_some()) && !result.contains("ORDER BY")
}
