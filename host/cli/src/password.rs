//! Random passwords.

use diceware_wordlists::EFF_LONG_WORDLIST;
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use rand::seq::IndexedRandom;
use zeroize::Zeroizing;

use crate::args::CharacterClass;
use crate::failure::Failure;

/// The length of a password for which nothing else is asked, in characters: 142 bits, of letters and digits.
pub(super) const DEFAULT_LENGTH: u16 = 24;

const DEFAULT_CLASSES: [CharacterClass; 3] =
    [CharacterClass::Lower, CharacterClass::Upper, CharacterClass::Digits];

/// What a password is made of.
pub(super) enum Recipe {
    /// This many characters, with at least one of each class.
    Characters { length: u16, classes: Vec<CharacterClass> },
    /// This many words of the EFF's long list, which has 7,776.
    Words { count: u16, separator: String },
}

impl Default for Recipe {
    fn default() -> Self {
        Self::characters(DEFAULT_LENGTH, &[])
    }
}

impl CharacterClass {
    fn characters(self) -> &'static [u8] {
        match self {
            Self::Lower => b"abcdefghijklmnopqrstuvwxyz",
            Self::Upper => b"ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            Self::Digits => b"0123456789",
            // All of ASCII's but the space.
            Self::Symbols => b"!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~",
        }
    }
}

impl Recipe {
    /// Of these classes of characters, or of the default ones.
    pub(super) fn characters(length: u16, classes: &[CharacterClass]) -> Self {
        let mut unique: Vec<CharacterClass> = Vec::new();
        for class in if classes.is_empty() { &DEFAULT_CLASSES } else { classes } {
            if !unique.contains(class) {
                unique.push(*class);
            }
        }
        Self::Characters { length, classes: unique }
    }

    /// A new password.
    pub(super) fn password(&self) -> Result<Zeroizing<String>, Failure> {
        let mut random = StdRng::try_from_rng(&mut SysRng).map_err(|error| {
            Failure::other(format!("no random bytes from the system: {error}"), "run this again")
        })?;
        match self {
            Self::Words { count, separator } => {
                let words: Vec<&str> = (0..*count)
                    .filter_map(|_| EFF_LONG_WORDLIST.choose(&mut random).copied())
                    .collect();
                Ok(Zeroizing::new(words.join(separator)))
            }
            Self::Characters { length, classes } => {
                if usize::from(*length) < classes.len() {
                    return Err(Failure::usage(
                        format!(
                            "{length} characters can't have one of each of {} classes",
                            classes.len()
                        ),
                        "increase --length, or name fewer --classes",
                    ));
                }
                let all: Vec<u8> =
                    classes.iter().flat_map(|class| class.characters()).copied().collect();
                // Each password with all classes is equally likely.
                loop {
                    let mut password = Zeroizing::new(String::with_capacity((*length).into()));
                    let characters = (0..*length).filter_map(|_| all.choose(&mut random));
                    password.extend(characters.map(|byte| char::from(*byte)));
                    let has = |class: &CharacterClass| {
                        password.bytes().any(|byte| class.characters().contains(&byte))
                    };
                    if classes.iter().all(has) {
                        return Ok(password);
                    }
                }
            }
        }
    }

    /// How hard it is to guess, in bits: the logarithm of the number of equally likely passwords, rounded down.
    pub(super) fn bits(&self) -> u32 {
        let bits = match self {
            Self::Words { count, .. } => f64::from(*count) * 7776_f64.log2(),
            Self::Characters { length, classes } => {
                // Inclusion and exclusion: those that lack a class don't occur.
                let sizes: Vec<f64> =
                    classes.iter().map(|class| class.characters().len() as f64).collect();
                let total: f64 = sizes.iter().sum();
                let share: f64 = (0..1_u32 << sizes.len())
                    .map(|lacking| {
                        let lacks = |class: &usize| lacking >> class & 1 == 1;
                        let rest: f64 = (0..sizes.len())
                            .filter(|class| !lacks(class))
                            .filter_map(|class| sizes.get(class))
                            .sum();
                        let sign = if lacking.count_ones() % 2 == 0 { 1.0 } else { -1.0 };
                        sign * (rest / total).powi((*length).into())
                    })
                    .sum();
                f64::from(*length) * total.log2() + share.log2()
            }
        };
        // Of no choice at all, rounding may leave less than nothing.
        bits.max(0.0) as u32
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_password_has_the_length_and_one_of_each_class() {
        let all = [
            CharacterClass::Lower,
            CharacterClass::Upper,
            CharacterClass::Digits,
            CharacterClass::Symbols,
        ];
        for length in [4, 5, 24, 1000] {
            for _ in 0..20 {
                let password = Recipe::characters(length, &all).password().unwrap();
                assert_eq!(password.len(), usize::from(length));
                for class in all {
                    assert!(password.bytes().any(|byte| class.characters().contains(&byte)));
                }
                assert!(password.bytes().all(|byte| byte.is_ascii_graphic()));
            }
        }
        assert!(Recipe::characters(3, &all).password().is_err());
    }

    /// All characters occur, about as often: 20,000 of 10 digits, each within 5 standard deviations of 2,000.
    #[test]
    fn no_character_is_more_likely_than_another() {
        let password = Recipe::characters(20_000, &[CharacterClass::Digits]).password().unwrap();
        for digit in b'0'..=b'9' {
            let count = password.bytes().filter(|byte| *byte == digit).count();
            assert!((1788..=2212).contains(&count), "{digit}: {count}");
        }
    }

    #[test]
    fn words_are_of_the_list() {
        let list: HashSet<&str> = EFF_LONG_WORDLIST.iter().copied().collect();
        assert_eq!(list.len(), 7776);
        let recipe = Recipe::Words { count: 6, separator: " ".to_owned() };
        let password = recipe.password().unwrap();
        let words: Vec<&str> = password.split(' ').collect();
        assert_eq!(words.len(), 6);
        assert!(words.iter().all(|word| list.contains(word)), "{words:?}");
        assert_ne!(password, recipe.password().unwrap());
    }

    #[test]
    fn the_bits_are_those_of_the_number_of_passwords() {
        let digits = [CharacterClass::Digits];
        let both = [CharacterClass::Digits, CharacterClass::Lower];
        // 10^8; 2 · 10 · 26 of two characters.
        assert_eq!(Recipe::characters(8, &digits).bits(), 26);
        assert_eq!(Recipe::characters(2, &both).bits(), 9);
        assert_eq!(Recipe::default().bits(), 142);
        assert_eq!(Recipe::Words { count: 6, separator: String::new() }.bits(), 77);
    }
}
