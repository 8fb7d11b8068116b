//! What the word under a cursor may become: fields, and after a field the values that were seen.
//! Reads unfinished text, so it is more tolerant than [`super::scan`].

use super::fields::{self, Field, Means};
use super::print::quoted;
use crate::state::{Noun, Seen};
use memchr::memmem::Finder;
use schemars::JsonSchema;
use serde::Serialize;
use std::borrow::Cow;
use std::cmp::Reverse;

/// Items of one answer at most.
const MOST: usize = 100;

/// An answer: `items` may stand instead of what is between `from` and the cursor.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Completion {
    /// Characters from 0.
    pub from: usize,
    /// The likeliest first.
    pub items: Vec<Item>,
}

/// One thing to put there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Item {
    /// As it is written in a filter.
    pub text: String,
    /// `field`, or the field whose value it is.
    pub kind: &'static str,
    /// A few words about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// What stands before the cursor.
#[derive(Debug, PartialEq)]
struct Word {
    from: usize,
    /// The field before the colon.
    field: Option<String>,
    /// What is typed of the field or value.
    typed: String,
}

/// Completes `text` at a cursor, in characters from 0. `seen` tells the values of a column.
pub fn complete(
    text: &str,
    cursor: usize,
    noun: Noun,
    seen: impl Fn(&'static str) -> Vec<Seen>,
) -> Completion {
    let before: Vec<char> = text.chars().take(cursor).collect();
    let Some(word) = word(&before) else {
        return Completion { from: before.len(), items: Vec::new() };
    };
    let items = match &word.field {
        None => field_items(noun, &word.typed),
        Some(name) => match fields::of(noun).iter().find(|field| field.word == name) {
            Some(field) => value_items(field, &word.typed, seen),
            None => Vec::new(),
        },
    };
    Completion { from: word.from, items }
}

fn field_items(noun: Noun, typed: &str) -> Vec<Item> {
    let known = fields::of(noun).iter().filter(|field| field.word.starts_with(typed));
    let item = |field: &Field| Item {
        text: format!("{}:", field.word),
        kind: "field",
        detail: Some(field.detail().into()),
    };
    known.map(item).collect()
}

fn value_items(field: &Field, typed: &str, seen: impl Fn(&'static str) -> Vec<Seen>) -> Vec<Item> {
    let suggested = |words: &[&str]| -> Vec<Seen> {
        words.iter().map(|word| Seen { value: (*word).into(), tasks: None }).collect()
    };
    let values = match field.means {
        Means::OneOf(words) => suggested(words),
        Means::Word | Means::Name | Means::Worker => {
            field.columns.iter().flat_map(|column| seen(column)).collect()
        }
        Means::Duration => suggested(&[">1s", ">10s", ">1m", ">10m"]),
        Means::Since | Means::Until => suggested(&["15m", "1h", "1d", "1w"]),
        Means::Id | Means::Text | Means::Kwargs | Means::Number => Vec::new(),
    };
    let typed = typed.to_lowercase();
    let typed = Finder::new(&typed);
    let ranked = values.into_iter().filter_map(|seen| {
        let rank = rank(field, folded(&seen.value).as_bytes(), &typed)?;
        Some((rank, seen))
    });
    let mut ranked: Vec<_> = ranked.collect();
    if field.is_facet() {
        let likeliest = |(a, one): &(u8, Seen), (b, other): &(u8, Seen)| {
            let key = |rank: &u8, seen: &Seen| (*rank, Reverse(seen.tasks));
            key(a, one).cmp(&key(b, other)).then_with(|| one.value.cmp(&other.value))
        };
        // Of very many names only those that are offered have to be in order.
        if ranked.len() > MOST {
            ranked.select_nth_unstable_by(MOST, likeliest);
            ranked.truncate(MOST);
        }
        ranked.sort_unstable_by(likeliest);
    }
    ranked.into_iter().take(MOST).map(|(_, seen)| value_item(field, seen)).collect()
}

/// In lower case; copied only where that is another text, as there may be very many.
fn folded(value: &str) -> Cow<'_, str> {
    match value.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        true => Cow::Borrowed(value),
        false => Cow::Owned(value.to_lowercase()),
    }
}

/// How well a value fits what was typed; `None`: not at all.
fn rank(field: &Field, value: &[u8], typed: &Finder<'_>) -> Option<u8> {
    let at_host = || {
        let host = value.iter().position(|byte| *byte == b'@').map(|at| &value[at + 1..]);
        host.is_some_and(|host| host.starts_with(typed.needle()))
    };
    if value.starts_with(typed.needle()) {
        Some(0)
    } else if field.means == Means::Worker && at_host() {
        Some(1)
    } else {
        typed.find(value).is_some().then_some(2)
    }
}

fn value_item(field: &Field, seen: Seen) -> Item {
    let text = match field.means {
        Means::Word => quoted(&seen.value.to_lowercase()),
        Means::Duration | Means::Since | Means::Until => seen.value.to_string(),
        _ => quoted(&seen.value),
    };
    let detail = seen.tasks.map(|tasks| match tasks {
        1 => "1 task".into(),
        tasks => format!("{tasks} tasks"),
    });
    Item { text, kind: field.word, detail }
}

/// The word that ends at the end of `before`; `None` inside an expression or a quoted bare word.
fn word(before: &[char]) -> Option<Word> {
    let (mut from, mut field, mut open) = (0, None, None);
    let mut at = 0;
    while let Some(&c) = before.get(at) {
        match (open, c) {
            (Some(_), '\\') => at += 1,
            (Some(close), c) if c == close => open = None,
            (Some(_), _) => {}
            (None, '"' | '/') if at == from => open = Some(c),
            (None, c) if c.is_whitespace() => (from, field) = (at + 1, None),
            (None, '!') if at == from && field.is_none() => from = at + 1,
            (None, ',') if field.is_some() => from = at + 1,
            (None, ':') if field.is_none() && is_name(&before[from..at]) => {
                field = Some(before[from..at].iter().collect());
                from = at + 1;
            }
            (None, _) => {}
        }
        at += 1;
    }
    let typed: String = before[from.min(before.len())..].iter().collect();
    match open {
        Some('/') => None,
        Some(_) if field.is_none() => None,
        _ => Some(Word { from, field, typed: typed.trim_matches('"').to_owned() }),
    }
}

fn is_name(text: &[char]) -> bool {
    !text.is_empty() && text.iter().all(|c| c.is_ascii_alphabetic() || *c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(column: &'static str) -> Vec<Seen> {
        let values: &[(&str, Option<u64>)] = match column {
            "state" => &[("FAILURE", Some(2)), ("SUCCESS", Some(90)), ("PENDING", Some(0))],
            "drawn" => &[("SCHEDULED", None)],
            "name" => &[("shop.charge", Some(3)), ("shop.mail", Some(7)), ("a b", Some(1))],
            "worker" => &[("celery@web-1", None), ("web@other", None)],
            _ => &[],
        };
        let one =
            |(value, tasks): &(&str, Option<u64>)| Seen { value: (*value).into(), tasks: *tasks };
        values.iter().map(one).collect()
    }

    /// Where the text ends, what may stand there.
    fn texts(text: &str) -> (usize, Vec<String>) {
        let Completion { from, items } = complete(text, text.chars().count(), Noun::Task, seen);
        (from, items.into_iter().map(|item| item.text).collect())
    }

    #[test]
    fn fields_and_then_seen_values() {
        for (text, from, wanted) in [
            ("st", 0, vec!["state:"]),
            ("é !na", 3, vec!["name:"]),
            ("state:", 6, vec!["success", "failure", "pending", "scheduled"]),
            ("state:FA", 6, vec!["failure"]),
            ("!state:success,fa", 15, vec!["failure"]),
            ("name:", 5, vec!["shop.mail", "shop.charge", "\"a b\""]),
            ("name:cha", 5, vec!["shop.charge"]),
            ("name:\"a ", 5, vec!["\"a b\""]),
            ("worker:web", 7, vec!["web@other", "celery@web-1"]),
            ("place:res", 6, vec!["reserved"]),
            ("since:", 6, vec!["15m", "1h", "1d", "1w"]),
            ("nme:x", 4, vec![]),
            ("args:x", 5, vec![]),
            ("result:/fo", 10, vec![]),
            ("\"quoted st", 10, vec![]),
            ("result:/a b/i st", 14, vec!["state:"]),
            ("args:\"a \\\" b\" st", 14, vec!["state:"]),
        ] {
            let wanted: Vec<String> = wanted.into_iter().map(String::from).collect();
            assert_eq!(texts(text), (from, wanted), "{text}");
        }
        assert_eq!(texts("").1.len(), fields::of(Noun::Task).len());
    }

    #[test]
    fn the_cursor_may_stand_anywhere() {
        let Completion { from, items } = complete("name:shop.mail state:fa", 9, Noun::Task, seen);
        assert_eq!((from, items.len()), (5, 2));
        assert_eq!(complete("st", 99, Noun::Task, seen).items[0].text, "state:");
    }

    #[test]
    fn an_answer_is_bounded() {
        let many =
            |_| (0..5000).map(|n| Seen { value: format!("n{n}").into(), tasks: Some(n) }).collect();
        let Completion { items, .. } = complete("name:n", 6, Noun::Task, many);
        assert_eq!(items.len(), MOST);
        assert_eq!(
            (items[0].text.as_str(), items[0].detail.as_deref()),
            ("n4999", Some("4999 tasks"))
        );
    }

    proptest::proptest! {
        #![proptest_config(proptest::test_runner::Config { failure_persistence: None, ..Default::default() })]

        /// What is offered, put where it belongs, parses.
        #[test]
        fn no_text_breaks_it(text in "[a-n:,!*\"/ \\\\>é]{0,20}", cursor in 0_usize..25) {
            let Completion { from, .. } = complete(&text, cursor, Noun::Task, seen);
            proptest::prop_assert!(from <= text.chars().count().min(cursor));
        }
    }
}
