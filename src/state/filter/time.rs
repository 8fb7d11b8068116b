//! Points in time: an age, a day, a date with a clock.

use super::mistake;
use super::number::span;
use super::scan::{Form, Piece};
use crate::error::Result;
use crate::state::observation::{Micros, seconds};
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// Ages beyond a century are mistakes.
const OLDEST: f64 = 36_525.0 * 86_400.0;

/// A time, or a distance from whenever the filter is asked, both in microseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::state) enum Moment {
    At(Micros),
    Ago(Micros),
}

/// Which end of a day a bare date means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edge {
    First,
    Last,
}

impl Moment {
    /// Reads the one value of `since` or `until`.
    ///
    /// # Errors
    /// [`crate::Error::Filter`] at what is no time, or at a second one.
    pub(super) fn read(
        field: &str,
        values: &[Piece],
        edge: Edge,
        zone: &TimeZone,
    ) -> Result<Moment> {
        const EXPECTED: &str = "a time such as `1h`, `2026-11-24` or `2026-11-24T12:00`";
        match values {
            [Piece { text, at, form }] => match form {
                Form::Expression { .. } => Err(mistake(*at, EXPECTED)),
                Form::Plain | Form::Quoted => {
                    moment(text, edge, zone).ok_or_else(|| mistake(*at, EXPECTED))
                }
            },
            [_, second, ..] => Err(mistake(second.at, format!("one time for `{field}`"))),
            [] => Err(mistake(0, EXPECTED)),
        }
    }

    /// The time that it is, asked at `now`.
    pub fn at(self, now: Micros) -> Micros {
        match self {
            Moment::At(at) => at,
            Moment::Ago(ago) => now.saturating_sub(ago),
        }
    }
}

fn moment(text: &str, edge: Edge, zone: &TimeZone) -> Option<Moment> {
    if let Some(age) = span(text) {
        return (age <= OLDEST).then(|| Moment::Ago(seconds::to_micros(age)));
    }
    if let Ok(day) = text.parse::<Date>()
        && text.len() == "2026-11-24".len()
    {
        return whole_day(day, edge, zone);
    }
    if let Ok(instant) = text.parse::<jiff::Timestamp>() {
        return Some(Moment::At(instant.as_microsecond()));
    }
    let local: DateTime = text.parse().ok()?;
    Some(Moment::At(zone.to_timestamp(local).ok()?.as_microsecond()))
}

/// `since:` a day begins with it, `until:` a day ends with it.
fn whole_day(day: Date, edge: Edge, zone: &TimeZone) -> Option<Moment> {
    let begins = |day: Date| Some(zone.to_timestamp(day.into()).ok()?.as_microsecond());
    Some(Moment::At(match edge {
        Edge::First => begins(day)?,
        Edge::Last => begins(day.tomorrow().ok()?)? - 1,
    }))
}
