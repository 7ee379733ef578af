//! Chance as plain data: numbers keyed by (seed, stream, index), so that leaving one draw out reshuffles no other.

use std::convert::Infallible;

use rand::TryRng;

/// A counter-based generator (SplitMix64 finalizer, Steele et al. 2014). Not for secrets.
#[derive(Debug, Clone)]
pub struct Rng {
    key: u64,
    index: u64,
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// The stream named `stream` of `seed`, from its beginning.
    pub fn new(seed: u64, stream: u64) -> Rng {
        Rng {
            key: mix(mix(seed.wrapping_add(0x9e37_79b9_7f4a_7c15)) ^ mix(stream)),
            index: 0,
        }
    }

    /// The next 64 bits.
    pub fn draw(&mut self) -> u64 {
        self.index = self.index.wrapping_add(1);
        mix(self
            .key
            .wrapping_add(self.index.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number below `bound` (which must not be 0), with a bias below 2^-32 for small bounds.
    pub fn below(&mut self, bound: usize) -> usize {
        assert!(bound > 0, "a choice among nothing");
        (self.draw() % bound as u64) as usize
    }
}

impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok((self.draw() >> 32) as u32)
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.draw())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for chunk in bytes.chunks_mut(8) {
            let drawn = self.draw().to_le_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
        Ok(())
    }
}
