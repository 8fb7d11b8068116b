//! A text that must stand in whatever an expression matches. Looking for its rarest byte tells most
//! texts apart without the expression, several times as fast.

use memchr::memchr2_iter;
use regex_syntax::hir::literal::Extractor;

/// What arguments and results are made of, the commonest first.
const COMMON: &[u8] = b"0123456789 ',:etaoinsrhldcu_-{}[]()mfpgwybvkxjqz";

/// How rare a byte is in arguments and results, whatever its case.
fn rarity(byte: u8) -> usize {
    let place = COMMON.iter().position(|common| *common == byte.to_ascii_lowercase());
    place.unwrap_or(COMMON.len())
}

/// The text.
#[derive(Debug, Clone)]
pub(super) struct Needle {
    bytes: Vec<u8>,
    /// In any case, as expressions fold it.
    folded: bool,
    /// It is all that the expression asks for.
    whole: bool,
    /// Where the byte is that is looked for: its rarest that is always one byte.
    rare: usize,
    /// How many bytes more it may be written in, before that byte and from there on.
    wider: [usize; 2],
}

/// How many bytes more the longest other case of a letter takes. Outside of ASCII, a long s and the
/// sign of Kelvin are an s and a k in another case; no other letter is like them.
fn wider(byte: u8) -> usize {
    match byte {
        b's' | b'S' => '\u{17f}'.len_utf8() - 1,
        b'k' | b'K' => '\u{212a}'.len_utf8() - 1,
        _ => 0,
    }
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
        if !bytes.is_ascii() {
            return None;
        }
        let widest = |byte: &u8| if folded { wider(*byte) } else { 0 };
        let narrow = (0..bytes.len()).filter(|at| widest(&bytes[*at]) == 0);
        let rare = narrow.max_by_key(|at| rarity(bytes[*at]))?;
        let (before, behind) = bytes.split_at(rare);
        let wider = [before, behind].map(|bytes| bytes.iter().map(widest).sum());
        Some(Needle { bytes: bytes.to_vec(), folded, whole, rare, wider })
    }

    /// Whether it may stand in a UUID.
    pub fn fits_uuid(&self) -> bool {
        self.bytes.iter().all(|byte| byte.is_ascii_hexdigit() || *byte == b'-')
    }

    /// Whether the expression matches, where this tells.
    pub fn decides(&self, text: &[u8]) -> Option<bool> {
        if self.stands_in(text) {
            return self.whole.then_some(true);
        }
        (self.wider == [0, 0] || text.is_ascii()).then_some(false)
    }

    /// That no text which stands anywhere in these bytes matches. They may be no text themselves.
    pub fn excludes(&self, bytes: &[u8]) -> bool {
        let (before, behind) = self.bytes.split_at(self.rare);
        !self.places(bytes).any(|at| {
            let (left, right) = bytes.split_at(at + self.rare);
            let from = |more| left.get(left.len().saturating_sub(before.len() + more)..);
            let upto = |more| right.get(..right.len().min(behind.len() + more));
            self.may_be(behind, upto, self.wider[1]) && self.may_be(before, from, self.wider[0])
        })
    }

    /// Whether a part stands, or another case of it may, in the bytes that `of` tells: as many as it
    /// has, and so many more.
    fn may_be<'a>(&self, part: &[u8], of: impl Fn(usize) -> Option<&'a [u8]>, more: usize) -> bool {
        of(0).is_some_and(|here| self.same(here, part))
            || more > 0 && of(more).is_some_and(|here| !here.is_ascii())
    }

    fn stands_in(&self, text: &[u8]) -> bool {
        let here = |at: usize| text.get(at..at + self.bytes.len());
        self.places(text).any(|at| here(at).is_some_and(|here| self.same(here, &self.bytes)))
    }

    /// Where it would begin, by its rare byte.
    fn places(&self, text: &[u8]) -> impl Iterator<Item = usize> {
        let rare = self.bytes[self.rare];
        let [lower, upper] = match self.folded {
            true => [rare.to_ascii_lowercase(), rare.to_ascii_uppercase()],
            false => [rare, rare],
        };
        memchr2_iter(lower, upper, text).filter_map(|at| at.checked_sub(self.rare))
    }

    fn same(&self, here: &[u8], part: &[u8]) -> bool {
        if self.folded { here.eq_ignore_ascii_case(part) } else { here == part }
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
        for (part, text) in [
            ("task", "TA\u{17f}K"),
            ("kilo", "\u{212a}ILO"),
            ("oslo", "o\u{17f}lo"),
            ("kiosks", "\u{212a}IO\u{17f}\u{212a}\u{17f}"),
        ] {
            let needle = || Needle::among(&[part.into()]);
            assert_eq!(tells(needle(), text), None);
            for around in [text.to_owned(), format!("\u{ff}{text}ab"), format!("e\u{301} {text}\0")]
            {
                assert!(!needle().unwrap().excludes(around.as_bytes()), "{around}");
            }
            let expression = regex::Regex::new(&format!("(?i){part}")).unwrap();
            assert!(expression.is_match(text), "{text}");
        }
        assert!(Needle::among(&["été".into()]).is_none());
        assert!(Needle::among(&["ss".into()]).is_none(), "it may have no letter of one byte");
        assert_eq!(tells(Needle::among(&["order".into()]), "été"), Some(false));
    }

    #[test]
    fn bytes_that_are_no_text_exclude_what_is_in_none_of_their_texts() {
        let needle = Needle::among(&["Customer-4".into()]).unwrap();
        assert!(needle.excludes(b"\xff\x05custo\xe9 customer\x80 customer-5"));
        assert!(!needle.excludes(b"\xff\x05customer-4\xff"));
        assert!(!needle.excludes(b"\xff\x05cu\xc5\xbftomer-4\xff"));
        assert!(!needle.fits_uuid() && Needle::among(&["-4d55".into()]).unwrap().fits_uuid());
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
