//! Times and counts in words, and text made safe for XML: nothing here looks at a recording.

/// Microseconds of virtual time since the beginning; a year is 3.2e13, which a page's numbers hold exactly.
pub type Micros = u64;

const SECOND: u64 = 1_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A moment: `12.345 s` in a run shorter than a minute, `2d 03:12:34.567` in a longer one.
///
/// `page.js` has the same rule for the moments under the pointer.
pub fn moment(at: Micros, until: Micros) -> String {
    let ms = (at + 500) / 1000;
    let fraction = |digits: u64| {
        if digits == 0 {
            String::new()
        } else {
            format!(".{digits:03}")
        }
    };
    if until < MINUTE {
        return format!("{}{} s", ms / 1000, fraction(ms % 1000));
    }
    let (seconds, days) = (ms / 1000 % 86_400, ms / 86_400_000);
    let day = if until >= DAY {
        format!("{days}d ")
    } else {
        String::new()
    };
    let (h, m, s) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{day}{h:02}:{m:02}:{s:02}{}", fraction(ms % 1000))
}

/// A moment on the axis: in a run of days a fraction of a second is of no use there.
pub fn axis_moment(at: Micros, until: Micros) -> String {
    moment(if until < DAY { at } else { at - at % SECOND }, until)
}

/// A length of time, rounded as one would say it: `120 ms`, `5.2 s`, `12 min`, `26 h`, `3 days`.
pub fn span(length: Micros) -> String {
    // One decimal below ten, none above, and never "3.0".
    let say = |unit: u64, name: &str| {
        let tenths = (length + unit / 20) / (unit / 10);
        if tenths < 100 && !tenths.is_multiple_of(10) {
            format!("{}.{} {name}", tenths / 10, tenths % 10)
        } else {
            format!("{} {name}", (tenths + 5) / 10)
        }
    };
    // What would be rounded to 60 minutes is an hour.
    match length + length / 119 {
        0..1000 => format!("{length} µs"),
        1000..SECOND => say(1000, "ms"),
        SECOND..MINUTE => say(SECOND, "s"),
        MINUTE..HOUR => say(MINUTE, "min"),
        HOUR..172_800_000_000 => say(HOUR, "h"),
        _ => say(DAY, "days"),
    }
}

/// `1 message`, `2 messages`, `20,000 messages`.
pub fn count(n: u64, one: &str, many: &str) -> String {
    format!("{} {}", thousands(n), if n == 1 { one } else { many })
}

/// `20,000`.
pub fn thousands(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `kitchen`, `kitchen and attic`, `kitchen, attic and 3 more`; four are named.
pub fn list<'a>(names: impl ExactSizeIterator<Item = &'a str>) -> String {
    let total = names.len();
    let shown = if total > 4 { 2 } else { total };
    let names: Vec<&str> = names.take(shown).collect();
    match (names.as_slice(), total - shown) {
        ([], _) => "nobody".to_owned(),
        ([one], 0) => (*one).to_owned(),
        ([most @ .., last], 0) => format!("{} and {last}", most.join(", ")),
        (some, more) => format!("{} and {more} more", some.join(", ")),
    }
}

/// Text for XML and HTML, in content or in an attribute: markup is escaped, characters XML does not allow are replaced.
pub fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\t' | '\n' => out.push(' '),
            '\0'..' ' | '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            // Marks that turn the direction of what follows could make a name read as something else.
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_read_as_one_would_say_them() {
        assert_eq!(moment(12_345_000, 20 * SECOND), "12.345 s");
        assert_eq!(moment(12 * SECOND, 20 * SECOND), "12 s");
        assert_eq!(moment(2 * DAY + 3 * HOUR + 4_500_000, 3 * DAY), "2d 03:00:04.500");
        assert_eq!(moment(61 * SECOND, HOUR), "00:01:01");
        let spans = [
            (7, "7 µs"),
            (1500, "1.5 ms"),
            (120_000, "120 ms"),
            (5 * SECOND, "5 s"),
        ];
        for (length, words) in spans {
            assert_eq!(span(length), words);
        }
        assert_eq!(span(12 * MINUTE + 20 * SECOND), "12 min");
        assert_eq!(span(HOUR - 29 * SECOND), "1 h");
        assert_eq!(span(26 * HOUR), "26 h");
        assert_eq!(span(2 * DAY + 12 * HOUR), "2.5 days");
    }

    #[test]
    fn numbers_and_names_are_listed_shortly() {
        assert_eq!(count(1, "message", "messages"), "1 message");
        assert_eq!(count(1_234_567, "message", "messages"), "1,234,567 messages");
        assert_eq!(list(["a", "b", "c"].into_iter()), "a, b and c");
        assert_eq!(list(["a", "b", "c", "d", "e"].into_iter()), "a, b and 3 more");
    }

    #[test]
    fn hostile_text_stays_text() {
        assert_eq!(
            xml("</script><b a='\"'>&\0\u{202e}"),
            "&lt;/script&gt;&lt;b a=&#39;&quot;&#39;&gt;&amp;\u{fffd}\u{fffd}"
        );
    }
}
