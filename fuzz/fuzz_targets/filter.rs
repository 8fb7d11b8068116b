//! Any text either parses to a filter that prints to itself, or is refused at a place inside it.
#![no_main]

use jiff::tz::TimeZone;
use lazycelery::Error;
use lazycelery::state::{Filter, Noun};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for noun in [Noun::Task, Noun::Name, Noun::Worker, Noun::Queue, Noun::Environment] {
        match Filter::parse(text, noun, &TimeZone::UTC) {
            Ok(filter) => {
                let printed = filter.to_string();
                let again = Filter::parse(&printed, noun, &TimeZone::UTC);
                assert_eq!(again.as_ref(), Ok(&filter), "{printed}");
            }
            Err(Error::Filter { position, .. }) => assert!(position <= text.chars().count()),
            Err(other) => panic!("{other}"),
        }
    }
});
