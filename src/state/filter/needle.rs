//! A text that must stand in whatever an expression matches. Looking for its rarest byte tells most
//! texts apart without the expression, several times as fast.

use memchr::arch::all::packedpair::{HeuristicFrequencyRank, Pair};
use memchr::memchr2_iter;
use regex_syntax::hir::literal::Extractor;

/// What arguments and results are made of, the commonest first.
const COMMON: &[u8] = b"0123456789 ',:etaoinsrhldcu_-{}[]()mfpgwybvkxjqz";

/// How common bytes are in arguments and results, whatever their case.
struct Reprs;

impl HeuristicFrequencyRank for Reprs {
    fn rank(&self, byte: u8) -> u8 {
        let place = COMMON.iter().position(|common| *common == byte.to_ascii_lowercase());
        place.map_or(0, |place| u8::MAX - place as u8)
    }
}

/// The text.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    bytes: Vec<u8>,
    /// In any case, as expressions fold it.
    folded: bool,
    /// It is all that the expression asks for.
    whole: bool,
    /// Where its rarest byte is.
    rare: usize,
}

impl Needle {
    /// The longest of some parts, which an expression asks for in any case.
    pub fn among(parts: &[String]) -> Option<Needle> {
        let longest = parts.iter().max_by_key(|part| part.len())?;
        Needle::new(longest.as_bytes(), true, parts.len() == 1)
    }

    /// What every match of an expression that minds the case begins with.
    pub fn beginning(source: &str) -> Option<Needle> {
        let literals = Extractor::new().extract(&regex_syntax::parse(source).ok()?);
        Needle::new(literals.longest_common_prefix()?, false, false)
    }

    fn new(bytes: &[u8], folded: bool, whole: bool) -> Option<Needle> {
        let pair = Pair::with_ranker(bytes, Reprs).filter(|_| bytes.is_ascii())?;
        let rare = pair.index1();
        Some(Needle { bytes: bytes.to_vec(), folded, whole, rare: rare.into() })
    }

    /// Whether the expression matches, where this tells.
    pub fn decides(&self, text: &[u8]) -> Option<bool> {
        if self.stands_in(text) {
            return self.whole.then_some(true);
        }
        // Outside of ASCII, a long s and the sign of Kelvin are an s and a k in another case.
        (!self.folded || text.is_ascii()).then_some(false)
    }

    fn stands_in(&self, text: &[u8]) -> bool {
        let Needle { bytes, folded, rare, .. } = self;
        let Some(last) = text.len().checked_sub(bytes.len()) else { return false };
        let (lower, upper) = match folded {
            true => (bytes[*rare].to_ascii_lowercase(), bytes[*rare].to_ascii_uppercase()),
            false => (bytes[*rare], bytes[*rare]),
        };
        memchr2_iter(lower, upper, &text[*rare..=last + rare]).any(|at| {
            let here = &text[at..at + bytes.len()];
            if *folded { here.eq_ignore_ascii_case(bytes) } else { here == bytes }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tells(needle: Option<Needle>, text: &str) -> Option<bool> {
        needle.unwrap().decides(text.as_bytes())
    }

    #[test]
    fn a_word_decides() {
        let word = || Needle::among(&["Order-4".into()]);
        assert_eq!(tells(word(), "an order-42"), Some(true));
        assert_eq!(tells(word(), "ORDER-4"), Some(true));
        assert_eq!(tells(word(), "order-5 order 4 rder-4"), Some(false));
        assert_eq!(tells(word(), "order-"), Some(false));
        assert_eq!(tells(word(), ""), Some(false));
    }

    #[test]
    fn one_of_several_parts_only_excludes() {
        let parts = || Needle::among(&["a".into(), "customer".into()]);
        assert_eq!(tells(parts(), "customer"), None);
        assert_eq!(tells(parts(), "a"), Some(false));
    }

    #[test]
    fn letters_outside_of_ascii_may_be_another_case() {
        for (part, text) in [("task", "TA\u{17f}K"), ("kilo", "\u{212a}ILO")] {
            assert_eq!(tells(Needle::among(&[part.into()]), text), None);
            let expression = regex::Regex::new(&format!("(?i){part}")).unwrap();
            assert!(expression.is_match(text), "{text}");
        }
        assert!(Needle::among(&["été".into()]).is_none());
    }

    #[test]
    fn an_expression_begins_with_what_all_its_matches_begin_with() {
        let beginning = |source| Needle::beginning(source).map(|needle| needle.bytes);
        assert_eq!(beginning("order-4[0-9]+'").unwrap(), b"order-4");
        assert_eq!(beginning("order|orange").unwrap(), b"or");
        for source in ["[0-9]+", "(?i)order", ".*order", "a|b", "o?rder", ""] {
            assert_eq!(beginning(source), None, "{source}");
        }
    }
}
