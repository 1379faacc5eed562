//! The words that SHA-256 computes with: of one hash, or the words at one place of several hashes, a lane each.

use std::ops::{BitAnd, BitXor};

/// How many hashes [`Lanes`] computes side by side. More would not fit into the registers of the CPUs there are.
pub(crate) const LANES: usize = 4;

/// A word of 32 bits, or one for each lane.
pub(crate) trait Word: Copy + BitAnd<Output = Self> + BitXor<Output = Self> {
    /// This word, in all lanes.
    fn all(word: u32) -> Self;
    /// The sum, modulo 2³².
    fn plus(self, other: Self) -> Self;
    /// Rotated to the right.
    fn rotate<const BITS: u32>(self) -> Self;
    /// Shifted to the right.
    fn shift<const BITS: u32>(self) -> Self;
}

impl Word for u32 {
    #[inline(always)]
    fn all(word: u32) -> Self {
        word
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.wrapping_add(other)
    }

    #[inline(always)]
    fn rotate<const BITS: u32>(self) -> Self {
        self.rotate_right(BITS)
    }

    #[inline(always)]
    fn shift<const BITS: u32>(self) -> Self {
        self >> BITS
    }
}

pub(crate) use lanes::Lanes;

impl Lanes {
    /// The words of several hashes, which become a lane each.
    pub(crate) fn gather<const N: usize>(hashes: [[u32; N]; LANES]) -> [Self; N] {
        let mut hashes = hashes.map(IntoIterator::into_iter);
        std::array::from_fn(|_| {
            Self::of(hashes.each_mut().map(|words| words.next().unwrap_or_default()))
        })
    }

    /// The words of each hash, from their lanes.
    pub(crate) fn scatter<const N: usize>(lanes: [Self; N]) -> [[u32; N]; LANES] {
        let mut words = lanes.map(|lanes| lanes.each().into_iter());
        std::array::from_fn(|_| words.each_mut().map(|lanes| lanes.next().unwrap_or_default()))
    }
}

#[cfg(target_family = "wasm")]
mod lanes {
    use std::arch::wasm32::{
        u32x4, u32x4_add, u32x4_extract_lane, u32x4_shl, u32x4_shr, u32x4_splat, v128, v128_and,
        v128_or, v128_xor,
    };

    use super::{BitAnd, BitXor, LANES, Word};

    /// A word in each lane of a vector of WebAssembly's.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes(v128);

    impl Lanes {
        pub(super) fn of([a, b, c, d]: [u32; LANES]) -> Self {
            Self(u32x4(a, b, c, d))
        }

        pub(super) fn each(self) -> [u32; LANES] {
            [
                u32x4_extract_lane::<0>(self.0),
                u32x4_extract_lane::<1>(self.0),
                u32x4_extract_lane::<2>(self.0),
                u32x4_extract_lane::<3>(self.0),
            ]
        }
    }

    impl BitAnd for Lanes {
        type Output = Self;

        #[inline(always)]
        fn bitand(self, other: Self) -> Self {
            Self(v128_and(self.0, other.0))
        }
    }

    impl BitXor for Lanes {
        type Output = Self;

        #[inline(always)]
        fn bitxor(self, other: Self) -> Self {
            Self(v128_xor(self.0, other.0))
        }
    }

    impl Word for Lanes {
        #[inline(always)]
        fn all(word: u32) -> Self {
            Self(u32x4_splat(word))
        }

        #[inline(always)]
        fn plus(self, other: Self) -> Self {
            Self(u32x4_add(self.0, other.0))
        }

        #[inline(always)]
        fn rotate<const BITS: u32>(self) -> Self {
            Self(v128_or(u32x4_shr(self.0, BITS), u32x4_shl(self.0, 32 - BITS)))
        }

        #[inline(always)]
        fn shift<const BITS: u32>(self) -> Self {
            Self(u32x4_shr(self.0, BITS))
        }
    }
}

/// Outside of WebAssembly, for tests.
#[cfg(not(target_family = "wasm"))]
mod lanes {
    use super::{BitAnd, BitXor, LANES, Word};

    /// A word in each lane.
    #[derive(Clone, Copy)]
    pub(crate) struct Lanes([u32; LANES]);

    impl Lanes {
        pub(super) fn of(words: [u32; LANES]) -> Self {
            Self(words)
        }

        pub(super) fn each(self) -> [u32; LANES] {
            self.0
        }

        fn with(self, other: Self, operation: impl Fn(u32, u32) -> u32) -> Self {
            let [a, b, c, d] = self.0;
            let [e, f, g, h] = other.0;
            Self([operation(a, e), operation(b, f), operation(c, g), operation(d, h)])
        }
    }

    impl BitAnd for Lanes {
        type Output = Self;

        fn bitand(self, other: Self) -> Self {
            self.with(other, u32::bitand)
        }
    }

    impl BitXor for Lanes {
        type Output = Self;

        fn bitxor(self, other: Self) -> Self {
            self.with(other, u32::bitxor)
        }
    }

    impl Word for Lanes {
        fn all(word: u32) -> Self {
            Self([word; LANES])
        }

        fn plus(self, other: Self) -> Self {
            self.with(other, u32::wrapping_add)
        }

        fn rotate<const BITS: u32>(self) -> Self {
            Self(self.0.map(|word| word.rotate_right(BITS)))
        }

        fn shift<const BITS: u32>(self) -> Self {
            Self(self.0.map(|word| word >> BITS))
        }
    }
}
