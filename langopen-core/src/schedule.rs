//! Cron expressions: when a cron fires.

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use croner::parser::CronParser;

use crate::clock::Timestamp;
use crate::error::{Error, Result};

/// The longest expression or time zone name that is read.
const MAX_CHARS: usize = 256;

/// When a cron fires: a cron expression in a time zone.
///
/// An expression has five fields (minute, hour, day of the month, month, day of the week), and optionally seconds as a
/// sixth field **at the end**. Fields accept lists, ranges, steps, names, `L` and `#`. `@hourly`, `@daily` and similar
/// names stand for whole expressions. If both day fields are restricted, a moment must match one of them.
///
/// When clocks go forward, moments in the skipped hour fire right after it. When clocks go back, a fixed time fires
/// once, and an interval continues through both hours.
#[derive(Debug, Clone)]
pub struct Schedule {
    cron: croner::Cron,
    zone: Tz,
}

impl Schedule {
    /// Reads an expression and an IANA time zone. The default time zone is UTC.
    ///
    /// # Errors
    /// `Invalid`; the message says which of the two is wrong, and why.
    pub fn parse(expression: &str, timezone: Option<&str>) -> Result<Self> {
        let zone = match timezone {
            Some(name) => name.parse().map_err(|_| invalid_zone(name))?,
            None => Tz::UTC,
        };
        let pattern = pattern(expression).map_err(|why| invalid(expression, why))?;
        let parser = CronParser::builder().sloppy_ranges(true).build();
        let cron = parser.parse(&pattern).map_err(|error| invalid(expression, &error.to_string()))?;
        Ok(Self { cron, zone })
    }

    /// The first moment after `at` at which it fires; `None` if there is none.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = DateTime::<Utc>::from_timestamp_micros(at.as_micros())?.with_timezone(&self.zone);
        let next = self.cron.find_next_occurrence(&at, false).ok()?;
        // The result is later than `at` and in whole seconds, whatever the clock shows.
        (next > at).then(|| Timestamp::from_micros(next.timestamp().saturating_mul(1_000_000)))
    }
}

/// The expression with its seconds first, as the parser expects them.
fn pattern(expression: &str) -> Result<String, &'static str> {
    if expression.len() > MAX_CHARS {
        return Err("It is too long.");
    }
    let mut fields: Vec<String> = expression.split_whitespace().map(str::to_ascii_uppercase).collect();
    if fields.iter().any(|field| field.split(',').any(str::is_empty)) {
        return Err("A list has an empty item.");
    }
    match fields.as_mut_slice() {
        [nickname] if nickname == "@MIDNIGHT" => return Ok("@DAILY".to_owned()),
        [nickname] if nickname.starts_with('@') => return Ok(nickname.clone()),
        [_, _, _, _, weekdays] => *weekdays = last_weekdays(weekdays),
        [_, _, _, _, weekdays, _] => {
            *weekdays = last_weekdays(weekdays);
            fields.rotate_right(1);
        }
        _ => return Err("It must have 5 fields, or 6 with seconds at the end."),
    }
    Ok(fields.join(" "))
}

/// `L5`, the last Friday of a month, as the parser writes it: `5L`.
fn last_weekdays(field: &str) -> String {
    let days = field.split(',').map(|day| match day.strip_prefix('L') {
        Some(weekday) if !weekday.is_empty() => format!("{weekday}L"),
        _ => day.to_owned(),
    });
    days.collect::<Vec<_>>().join(",")
}

fn invalid(expression: &str, why: &str) -> Error {
    let shown: String = expression.chars().take(MAX_CHARS).collect();
    Error::invalid(
        "schedule.parse",
        format!(
            "Invalid cron schedule: '{shown}'. Reason: {why} Ensure the schedule uses the standard cron format (minute hour \
             day_of_month month day_of_week). Example: '*/5 * * * *' for every 5 minutes."
        ),
    )
}

fn invalid_zone(name: &str) -> Error {
    let shown: String = name.chars().take(MAX_CHARS).collect();
    let message = format!("Invalid timezone: '{shown}'. Use IANA timezone format (e.g. 'America/New_York').");
    Error::invalid("schedule.parse", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The next `count` moments after `from`, in UTC.
    fn fires(expression: &str, timezone: Option<&str>, from: &str, count: usize) -> Vec<String> {
        let schedule = Schedule::parse(expression, timezone).unwrap();
        let mut at = Timestamp::parse(from).unwrap();
        let mut next = || {
            at = schedule.next_after(at)?;
            Some(at.to_string().replace(":00.000000+00:00", "").replace(".000000+00:00", ""))
        };
        std::iter::from_fn(&mut next).take(count).collect()
    }

    #[test]
    fn fields_mean_what_cron_users_expect() {
        for (expression, expected) in [
            ("*/5 * * * *", ["2026-11-23T14:40", "2026-11-23T14:45"]),
            ("5/20 * * * *", ["2026-11-23T14:45", "2026-11-23T15:05"]),
            ("0 9-17/4 * * mon-fri", ["2026-11-23T17:00", "2026-11-24T09:00"]),
            ("30 8 1,15 jan *", ["2027-01-01T08:30", "2027-01-15T08:30"]),
            ("0 0 L * *", ["2026-11-30T00:00", "2026-12-31T00:00"]),
            ("0 0 * * 5#1", ["2026-12-04T00:00", "2027-01-01T00:00"]),
            ("0 0 * * fri#2", ["2026-12-11T00:00", "2027-01-08T00:00"]),
            ("0 0 * * L5", ["2026-11-27T00:00", "2026-12-25T00:00"]),
            ("0 0 * * 7", ["2026-11-29T00:00", "2026-12-06T00:00"]),
            // If two days are restricted, one of them must match.
            ("0 0 24 * 6", ["2026-11-24T00:00", "2026-11-28T00:00"]),
            ("0 0 29 2 *", ["2028-02-29T00:00", "2032-02-29T00:00"]),
            ("@midnight", ["2026-11-24T00:00", "2026-11-25T00:00"]),
            ("@hourly", ["2026-11-23T15:00", "2026-11-23T16:00"]),
            // Seconds are the last field.
            ("* * * * * */30", ["2026-11-23T14:37:30", "2026-11-23T14:38"]),
            ("*/10 * * * * *", ["2026-11-23T14:40", "2026-11-23T14:40:01"]),
        ] {
            assert_eq!(fires(expression, None, "2026-11-23T14:37:12.424755Z", 2), expected, "{expression}");
        }
    }

    #[test]
    fn a_zone_decides_what_the_hours_are() {
        let noon = fires("0 12 * * *", Some("Asia/Kolkata"), "2026-11-23T00:00:00Z", 1);
        assert_eq!(noon, ["2026-11-23T06:30"]);
    }

    #[test]
    fn the_hour_that_does_not_exist_is_made_up_for_once() {
        // New York, 2026-03-08: 02:00 becomes 03:00, which is 07:00 in UTC.
        let new_york = Some("America/New_York");
        assert_eq!(fires("30 2 * * *", new_york, "2026-03-07T12:00:00Z", 2), ["2026-03-08T07:00", "2026-03-09T06:30"]);
        assert_eq!(
            fires("0 * * * *", new_york, "2026-03-08T05:30:00Z", 3),
            ["2026-03-08T06:00", "2026-03-08T07:00", "2026-03-08T08:00"]
        );
    }

    #[test]
    fn the_hour_that_comes_twice_fires_a_fixed_time_once() {
        // New York, 2026-11-01: 02:00 becomes 01:00; 01:30 is at 05:30 and at 06:30 in UTC.
        let new_york = Some("America/New_York");
        assert_eq!(fires("30 1 * * *", new_york, "2026-10-31T12:00:00Z", 2), ["2026-11-01T05:30", "2026-11-02T06:30"]);
        assert_eq!(
            fires("*/30 * * * *", new_york, "2026-11-01T05:00:00Z", 4),
            ["2026-11-01T05:30", "2026-11-01T06:00", "2026-11-01T06:30", "2026-11-01T07:00"]
        );
    }

    #[test]
    fn what_never_fires_has_no_next_moment() {
        let started = std::time::Instant::now();
        for never in ["0 0 31 2 *", "0 0 30 2 * 59", "* * * * +"] {
            assert_eq!(fires(never, Some("Europe/Berlin"), "2026-11-23T14:37:12Z", 1), [""; 0], "{never}");
        }
        assert!(started.elapsed().as_secs() < 5);
    }

    #[test]
    fn nonsense_is_refused_with_what_is_wrong() {
        let long = "*".repeat(300);
        for bad in [
            "",
            "bad",
            "* * * *",
            "* * * * * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "* * * 13 *",
            "* * * * 8",
            "*/0 * * * *",
            "5-1 * * * *",
            "* * * * mon#6",
            "* * * * * 60",
            "@never",
            "é * * * *",
            "+ * * * *",
            "- - - - -",
            "1,,2 * * * *",
            "99999999999999999999 * * * *",
            "* * * * LL",
            "# # # # #",
            &long,
        ] {
            let refused = Schedule::parse(bad, None).map(|schedule| schedule.next_after(Timestamp::from_micros(0)));
            let refused = refused.expect_err(bad);
            assert!(refused.message().starts_with("Invalid cron schedule: '"), "{bad}: {refused}");
        }
        for bad in ["Mars/X", "", "+01:00", "america/new_york "] {
            let refused = Schedule::parse("* * * * *", Some(bad)).unwrap_err();
            assert_eq!(refused.kind(), crate::ErrorKind::Invalid);
            assert!(refused.message().starts_with("Invalid timezone: '"), "{bad}: {refused}");
        }
    }
}
