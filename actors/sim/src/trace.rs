//! What happened, in words and as one number: two runs with the same number went the same way.

use std::fmt::{self, Write};

use coffer_domain::time::{HOUR, MINUTE, Millis, SECOND};

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;

/// The story of one run. Nothing random from outside the seed (keys, nonces, session ids) may be told.
pub struct Trace {
    /// FNV-1a, 64 bits, over all lines.
    hash: u64,
    lines: u64,
    line: String,
    /// Prints each line as it is told.
    aloud: bool,
}

impl Trace {
    pub fn new(aloud: bool) -> Self {
        Self { hash: FNV_OFFSET, lines: 0, line: String::new(), aloud }
    }

    /// `at` is the virtual time since the start.
    pub fn tell(&mut self, at: Millis, who: &str, what: fmt::Arguments<'_>) {
        self.line.clear();
        let (hours, minutes, seconds, millis) = (at / HOUR, at / MINUTE % 60, at / SECOND % 60, at % SECOND);
        // Writing to a string cannot fail.
        let _ = write!(self.line, "{hours:02}:{minutes:02}:{seconds:02}.{millis:03}  {who:<16} {what}");
        for byte in self.line.as_bytes() {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(FNV_PRIME);
        }
        self.lines += 1;
        if self.aloud {
            println!("{}", self.line);
        }
    }

    pub fn hash(&self) -> u64 {
        self.hash
    }

    pub fn lines(&self) -> u64 {
        self.lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_time_actor_or_word_makes_another_hash() {
        let hash = |at, who, what: &str| {
            let mut trace = Trace::new(false);
            trace.tell(at, who, format_args!("{what}"));
            trace.hash()
        };
        let hashes = [hash(1, "a", "x"), hash(2, "a", "x"), hash(1, "b", "x"), hash(1, "a", "y")];
        assert_eq!(hashes.iter().collect::<std::collections::BTreeSet<_>>().len(), hashes.len());
        assert_eq!(hashes[0], hash(1, "a", "x"));
    }
}
