//! How much of a queue may be read at once, where only reading tells how large its messages are.

/// Bytes that one read asks for, at the largest size seen.
const CHUNK: usize = 256 << 10;

/// Messages that one read asks for.
const MESSAGES: usize = 1_000;

/// How much may still be read: one message first, then as many as fit at the largest size seen, but
/// never more than were read before: small ones may be followed by large ones.
#[derive(Debug)]
pub struct Budget {
    left: usize,
    largest: usize,
    read: usize,
}

impl Budget {
    /// At most about so many bytes in all.
    pub fn new(bytes: usize) -> Self {
        Budget { left: bytes, largest: 0, read: 0 }
    }

    /// Messages that may be read now. `None`: no more. The very first one is read whatever its size.
    pub fn fitting(&self) -> Option<usize> {
        if self.read == 0 {
            return Some(1);
        }
        let largest = self.largest.max(1);
        let fitting = (CHUNK.min(self.left) / largest).clamp(1, self.read.min(MESSAGES));
        (largest <= self.left).then_some(fitting)
    }

    /// These were read.
    pub fn spend(&mut self, read: &[Vec<u8>]) {
        self.read += read.len();
        for raw in read {
            self.left = self.left.saturating_sub(raw.len());
            self.largest = self.largest.max(raw.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_are_bounded_in_bytes() {
        let mut budget = Budget::new(1 << 20);
        assert_eq!(budget.fitting(), Some(1));
        budget.spend(&[vec![0; 1024]]);
        assert_eq!(budget.fitting(), Some(1), "one small message says little");
        budget.spend(&vec![vec![0; 1024]; 255]);
        assert_eq!(budget.fitting(), Some(CHUNK / 1024));
        budget.spend(&[vec![0; 512 << 10]]);
        assert_eq!(budget.fitting(), None, "another of that size would be too much");
    }
}
