//! The pauses between attempts.

use std::time::{Duration, UNIX_EPOCH};

use backon::{BackoffBuilder, ExponentialBuilder};
use http::HeaderMap;
use http::header::RETRY_AFTER;
use langopen_core::Timestamp;

use super::WebhookSettings;

/// The longest pause that a receiver may request.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The pause after this many attempts, or the pause that the receiver requested if that is longer. `None` if the
/// dispatcher makes no further attempt.
pub(super) fn pause_after(
    settings: &WebhookSettings,
    attempts: u32,
    age: Duration,
    asked: Option<Duration>,
) -> Option<Duration> {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(settings.first_pause)
        .with_factor(settings.backoff_factor)
        .with_max_delay(settings.max_age)
        .with_max_times(usize::try_from(settings.max_attempts.saturating_sub(1)).unwrap_or(usize::MAX))
        .with_jitter()
        .build();
    let pause = pauses.nth(usize::try_from(attempts.max(1) - 1).unwrap_or(usize::MAX))?;
    let pause = pause.max(asked.unwrap_or_default().min(LONGEST_ASKED));
    (age.saturating_add(pause) <= settings.max_age).then_some(pause)
}

/// The pause that `Retry-After` requests, as seconds or as a date.
pub(super) fn asked_for(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
    let now = Duration::from_micros(u64::try_from(now.as_micros()).ok()?);
    Some(at.saturating_sub(now))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_there_are_no_more() {
        let settings = WebhookSettings::default();
        let pause = |attempts, age, asked| {
            pause_after(&settings, attempts, Duration::from_secs(age), asked).map(|pause| pause.as_secs())
        };
        for (attempts, least) in [(1, 2), (2, 10), (3, 50), (4, 250)] {
            let pause = pause(attempts, 0, None).unwrap();
            assert!((least..=least * 2).contains(&pause), "{attempts}: {pause}");
        }
        assert_eq!(pause(5, 0, None), None, "five attempts in all");
        assert_eq!(pause(1, 0, Some(Duration::from_secs(60))), Some(60), "the receiver's wish");
        assert_eq!(pause(1, 0, Some(Duration::MAX)), Some(300), "within limits");
        assert_eq!(pause(4, 700, None), None, "too late");
        assert_eq!(pause(1, 7200, None), None, "an hour late: the first attempt was the last");
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-11-23T14:27:14Z").unwrap();
        for (text, expected) in [
            ("120", Some(120)),
            ("0", Some(0)),
            ("Mon, 23 Nov 2026 14:28:14 GMT", Some(60)),
            ("Mon, 23 Nov 2020 14:28:14 GMT", Some(0)),
            ("-1", None),
            ("soon", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(asked_for(&headers, now).map(|pause| pause.as_secs()), expected, "{text}");
        }
    }
}
