//! Durations, instants, names and browsers in words.

use chrono::{Datelike as _, Timelike as _};
use identsphere_core::Language;
use identsphere_kernel::{Duration, Timestamp};

const MONTHS: [[&str; 12]; 2] = [
    [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ],
    [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
];

/// A length of time in the largest unit that fits, never more than is true.
pub(crate) fn duration(language: Language, length: Duration) -> String {
    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;
    let seconds = length.as_secs();
    let (count, [english, german]) = match seconds {
        _ if seconds >= 2 * DAY => (seconds / DAY, [["day", "days"], ["Tag", "Tage"]]),
        _ if seconds >= 2 * HOUR || seconds == HOUR => {
            (seconds / HOUR, [["hour", "hours"], ["Stunde", "Stunden"]])
        }
        _ if seconds >= MINUTE => (seconds / MINUTE, [["minute", "minutes"], ["Minute", "Minuten"]]),
        _ => (seconds, [["second", "seconds"], ["Sekunde", "Sekunden"]]),
    };
    let [one, many] = match language {
        Language::En => english,
        Language::De => german,
    };
    format!("{count} {}", if count == 1 { one } else { many })
}

/// An instant to the minute, in UTC: where its reader is, nobody knows.
pub(crate) fn instant(language: Language, at: Timestamp) -> String {
    let at = at.to_chrono();
    let [english, german] = MONTHS;
    let (months, dot) = match language {
        Language::En => (english, ""),
        Language::De => (german, "."),
    };
    let month = usize::try_from(at.month0()).ok().and_then(|month| months.get(month)).unwrap_or(&"");
    format!("{}{dot} {month} {}, {:02}:{:02} UTC", at.day(), at.year(), at.hour(), at.minute())
}

/// Most characters of a name.
const MAX_NAME: usize = 64;

/// The name if it reads like one and like nothing else: whoever signs up with a stranger's address chooses the name that
/// the stranger's mail greets, and must not place a link or a message there.
pub(crate) fn name(text: &str) -> Option<&str> {
    let text = text.trim();
    let mut chars = text.chars().peekable();
    let mut count = 0;
    while let Some(c) = chars.next() {
        count += 1;
        // Mail programs turn `word.word` into a link.
        let ends_a_word = chars.peek().is_none_or(|next| *next == ' ');
        let fits = c.is_alphanumeric() || matches!(c, ' ' | '\'' | '’' | '-') || (c == '.' && ends_a_word);
        if !fits || count > MAX_NAME {
            return None;
        }
    }
    (count > 0).then_some(text)
}

/// The text on one line, without characters that break lines or reorder them, and not longer than this.
pub(crate) fn line(text: &str, max: usize) -> String {
    let visible = text.chars().map(|c| if c.is_control() || is_separator(c) { ' ' } else { c });
    let visible: String = visible.filter(|c| !is_invisible(*c)).collect();
    let line = visible.split_whitespace().collect::<Vec<_>>().join(" ");
    line.chars().take(max).collect::<String>().trim_end().to_owned()
}

fn is_separator(c: char) -> bool {
    matches!(c, '\u{2028}' | '\u{2029}')
}

/// Directional marks and zero-width characters (UAX #9 §2).
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

/// The browser and the system in words of ours: a user agent is whatever its sender says.
pub(crate) fn browser(user_agent: &str) -> (Option<&'static str>, Option<&'static str>) {
    // Most of them also call themselves by the names further down.
    const BROWSERS: [(&str, &str); 8] = [
        ("Edg", "Edge"),
        ("OPR/", "Opera"),
        ("SamsungBrowser", "Samsung Internet"),
        ("Firefox/", "Firefox"),
        ("FxiOS", "Firefox"),
        ("CriOS", "Chrome"),
        ("Chrome/", "Chrome"),
        ("Safari/", "Safari"),
    ];
    const SYSTEMS: [(&str, &str); 7] = [
        ("Windows", "Windows"),
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iPadOS"),
        ("CrOS", "ChromeOS"),
        ("Mac OS X", "macOS"),
        ("Linux", "Linux"),
    ];
    let find = |known: &[(&str, &'static str)]| {
        known.iter().find(|(mark, _)| user_agent.contains(mark)).map(|(_, name)| *name)
    };
    (find(&BROWSERS), find(&SYSTEMS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_is_said_in_its_largest_whole_unit() {
        for (seconds, english, german) in [
            (30, "30 seconds", "30 Sekunden"),
            (60, "1 minute", "1 Minute"),
            (600, "10 minutes", "10 Minuten"),
            (1_800, "30 minutes", "30 Minuten"),
            (3_600, "1 hour", "1 Stunde"),
            (5_400, "90 minutes", "90 Minuten"),
            (86_400, "24 hours", "24 Stunden"),
            (604_800, "7 days", "7 Tage"),
        ] {
            let length = Duration::from_secs(seconds);
            assert_eq!(duration(Language::En, length), english);
            assert_eq!(duration(Language::De, length), german);
        }
    }

    #[test]
    fn an_instant_is_said_in_utc() {
        let at = Timestamp::parse_rfc3339("2026-03-05T08:09:10Z").unwrap();
        assert_eq!(instant(Language::En, at), "5 March 2026, 08:09 UTC");
        assert_eq!(instant(Language::De, at), "5. März 2026, 08:09 UTC");
    }

    #[test]
    fn only_what_reads_like_a_name_is_greeted() {
        for good in
            ["Ada", " Ada Lovelace ", "Jean-Luc O'Neil", "Dr. Ada L.", "Ærøskøbing", "李小龙", "Ada 2"]
        {
            assert_eq!(name(good), Some(good.trim()));
        }
        for bad in [
            "",
            "win at evil.example",
            "http://evil",
            "a@b",
            "Ada\r\nBcc: x",
            "A\0",
            "<b>",
            "you won $100!",
            "\u{202e}adA",
            &"a".repeat(65),
        ] {
            assert_eq!(name(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_line_is_one_line() {
        assert_eq!(line(" a\r\nb\0c\u{2028}d \u{202e}e ", 100), "a b c d e");
        assert_eq!(line("abc def", 4), "abc");
    }

    #[test]
    fn browsers_are_told_by_what_they_say() {
        let chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36";
        assert_eq!(browser(chrome), (Some("Chrome"), Some("Windows")));
        assert_eq!(browser(&format!("{chrome} Edg/140.0")), (Some("Edge"), Some("Windows")));
        let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
        assert_eq!(browser(firefox), (Some("Firefox"), Some("Linux")));
        assert_eq!(browser("visit http://evil.example"), (None, None));
    }
}
