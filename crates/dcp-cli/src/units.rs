//! Numbers and names for people.

use std::borrow::Cow;
use std::time::Duration;

/// A number of bytes, as `25.1 MiB`.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
    let mut scaled = count as f64;
    let mut unit = 0;
    // From here on it would be rounded to 1024.
    while scaled >= 1023.95 && unit + 1 < UNITS.len() {
        scaled /= 1024.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{scaled:.1} {}", UNITS[unit]) }
}

/// The number of bytes that `1048576`, `1024K`, `64M` or `2G` stands for; `64MiB` is the same as `64M`.
pub(crate) fn parse_bytes(text: &str) -> Result<u64, &'static str> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let power = match unit {
        "" | "B" => 0,
        "K" | "KiB" => 10,
        "M" | "MiB" => 20,
        "G" | "GiB" => 30,
        _ => return Err("a size is a number and K, M or G, as 64M"),
    };
    let number: u64 = number.parse().map_err(|_| "a size is a number and K, M or G, as 64M")?;
    number.checked_mul(1 << power).ok_or("that is more than there can be")
}

/// A time, as `85 ms` or `1.24 s`.
pub(crate) fn time(elapsed: Duration) -> String {
    match elapsed.as_secs_f64() {
        seconds if seconds < 0.9995 => format!("{:.0} ms", seconds * 1000.0),
        seconds => format!("{seconds:.2} s"),
    }
}

/// A time of hours, as `23 h 5 min`.
pub(crate) fn long_time(left: Duration) -> String {
    match left.as_secs().div_ceil(60) {
        minutes if minutes < 60 => format!("{minutes} min"),
        minutes => format!("{} h {} min", minutes / 60, minutes % 60),
    }
}

/// Bytes in a time, as `1.2 GiB/s`.
pub(crate) fn rate(count: u64, elapsed: Duration) -> String {
    format!("{}/s", bytes((count as f64 / elapsed.as_secs_f64().max(1e-9)) as u64))
}

/// A number of things, as `1 tensor` or `12,345 tensors`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{} {thing}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number, as `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Text out of a file, without what a terminal would take for commands.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_unprintable) {
        return text.into();
    }
    let escaped = |c: char| if is_unprintable(c) { c.escape_default().to_string() } else { c.to_string() };
    text.chars().map(escaped).collect::<String>().into()
}

/// What moves the cursor, or turns the direction of writing.
fn is_unprintable(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read() {
        let good = [("0", 0), ("12", 12), ("3K", 3 << 10), ("64M", 64 << 20), ("64MiB", 64 << 20), ("2G", 2 << 30)];
        assert!(good.into_iter().all(|(text, bytes)| parse_bytes(text) == Ok(bytes)));
        assert!(["", "M", "-1", "1.5G", "1T", "1m", "17179869184G"].into_iter().all(|text| parse_bytes(text).is_err()));
    }

    #[test]
    fn numbers_are_short() {
        let cases = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1 << 20, "1.0 MiB"), ((1 << 20) - 1, "1.0 MiB")];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
        assert_eq!(bytes(u64::MAX), "16.0 EiB");
        assert_eq!(time(Duration::from_millis(85)), "85 ms");
        assert_eq!(time(Duration::from_millis(999)), "999 ms");
        assert_eq!(time(Duration::from_micros(999_900)), "1.00 s");
        let minutes = |count: u64| long_time(Duration::from_secs(60 * count));
        assert_eq!((minutes(0), minutes(59), minutes(125)), ("0 min".into(), "59 min".into(), "2 h 5 min".into()));
        assert_eq!(rate(3 << 20, Duration::from_millis(1500)), "2.0 MiB/s");
        assert_eq!((count(1, "rank"), count(1_234_567, "chunk")), ("1 rank".into(), "1,234,567 chunks".into()));
        assert_eq!((count(0, "value"), count(999, "value")), ("0 values".into(), "999 values".into()));
    }

    #[test]
    fn terminals_are_safe_from_names() {
        assert_eq!(printable("modèle.weight"), "modèle.weight");
        assert_eq!(printable("a\u{1b}[2Jb\n"), "a\\u{1b}[2Jb\\n");
    }
}
