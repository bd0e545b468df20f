//! Go's `time.Time` and its layouts.
//! Takes a moment and a layout such as `2006-01-02`; gives Go's text.

use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::Offset;
use jiff::{SignedDuration, Timestamp};

/// A `time.Time`. Zones have an offset and no name but UTC, for there is no database of zones here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    at: Timestamp,
    offset: Offset,
}

impl Time {
    /// The result of `now` in every rendering, so that the same chart gives the same bytes.
    pub(crate) const NOW: Self = Self { at: Timestamp::constant(946_684_800, 0), offset: Offset::UTC };

    /// Go's zero time.
    pub(crate) fn zero() -> Self {
        Self::utc(Timestamp::constant(-62_135_596_800, 0))
    }

    pub(crate) const fn utc(at: Timestamp) -> Self {
        Self { at, offset: Offset::UTC }
    }

    /// A number of seconds since 1970.
    pub(crate) fn from_unix(seconds: i64) -> Option<Self> {
        Timestamp::from_second(seconds).ok().map(Self::utc)
    }

    pub(crate) fn in_utc(self) -> Self {
        Self::utc(self.at)
    }

    pub(crate) fn unix(self) -> i64 {
        self.at.as_second()
    }

    pub(crate) fn unix_nanoseconds(self) -> i128 {
        self.at.as_nanosecond()
    }

    pub(crate) fn is_zero(self) -> bool {
        self.at == Self::zero().at
    }

    /// The time `nanoseconds` later. `None` beyond the calendar.
    pub(crate) fn add(self, nanoseconds: i64) -> Option<Self> {
        let at = self.at.checked_add(SignedDuration::from_nanos(nanoseconds)).ok()?;
        Some(Self { at, offset: self.offset })
    }

    /// `Time.AddDate`: a day that the month does not have is one of the next month. `None` beyond
    /// the calendar.
    pub(crate) fn add_date(self, years: i64, months: i64, days: i64) -> Option<Self> {
        let civil = self.civil();
        let months = (i64::from(civil.month()) - 1).checked_add(months)?;
        let year = i64::from(civil.year()).checked_add(years)?.checked_add(months.div_euclid(12))?;
        let month = i8::try_from(months.rem_euclid(12)).ok()? + 1;
        let first = Date::new(i16::try_from(year).ok()?, month, 1).ok()?.to_datetime(civil.time());
        let days = days.checked_add(i64::from(civil.day()) - 1)?;
        let moved = first.checked_add(SignedDuration::from_secs(days.checked_mul(86_400)?)).ok()?;
        Some(Self { at: self.offset.to_timestamp(moved).ok()?, offset: self.offset })
    }

    pub(crate) fn civil(self) -> DateTime {
        self.offset.to_datetime(self.at)
    }

    /// `Time.Format`: the layout is an example of what to write, in the time that Go's authors chose.
    pub(crate) fn format(self, layout: &str) -> String {
        let civil = self.civil();
        let mut out = String::new();
        let mut rest = layout;
        while !rest.is_empty() {
            let (literal, chunk, tail) = next_chunk(rest);
            out.push_str(literal);
            rest = tail;
            if let Some(chunk) = chunk {
                self.push(&mut out, chunk, civil);
            }
        }
        out
    }

    fn push(self, out: &mut String, chunk: Chunk, civil: DateTime) {
        let hour12 = match civil.hour() % 12 {
            0 => 12,
            hour => hour,
        };
        let text = match chunk {
            Chunk::LongMonth => month_name(civil.month()).to_owned(),
            Chunk::Month => month_name(civil.month())[..3].to_owned(),
            Chunk::NumberMonth => civil.month().to_string(),
            Chunk::ZeroMonth => format!("{:02}", civil.month()),
            Chunk::LongWeekday => weekday_name(civil.weekday()).to_owned(),
            Chunk::Weekday => weekday_name(civil.weekday())[..3].to_owned(),
            Chunk::Day => civil.day().to_string(),
            Chunk::UnderDay => format!("{:2}", civil.day()),
            Chunk::ZeroDay => format!("{:02}", civil.day()),
            Chunk::UnderYearDay => format!("{:3}", civil.day_of_year()),
            Chunk::ZeroYearDay => format!("{:03}", civil.day_of_year()),
            Chunk::Hour => format!("{:02}", civil.hour()),
            Chunk::Hour12 => hour12.to_string(),
            Chunk::ZeroHour12 => format!("{hour12:02}"),
            Chunk::Minute => civil.minute().to_string(),
            Chunk::ZeroMinute => format!("{:02}", civil.minute()),
            Chunk::Second => civil.second().to_string(),
            Chunk::ZeroSecond => format!("{:02}", civil.second()),
            Chunk::LongYear => format!("{:04}", civil.year()),
            Chunk::Year => format!("{:02}", civil.year().rem_euclid(100)),
            Chunk::UpperHalf => if civil.hour() >= 12 { "PM" } else { "AM" }.to_owned(),
            Chunk::LowerHalf => if civil.hour() >= 12 { "pm" } else { "am" }.to_owned(),
            Chunk::ZoneName if self.offset == Offset::UTC => "UTC".to_owned(),
            Chunk::ZoneName => {
                self.offset_text(Zone { colon: false, seconds: false, short: false, z: false })
            }
            Chunk::Zone(zone) => self.offset_text(zone),
            Chunk::Fraction { separator, digits, keep_zeros } => {
                let fraction = format!("{:09}", civil.subsec_nanosecond());
                let fraction = &fraction[..digits.min(9)];
                match if keep_zeros { fraction } else { fraction.trim_end_matches('0') } {
                    "" => String::new(),
                    digits => format!("{separator}{digits}"),
                }
            }
        };
        out.push_str(&text);
    }

    fn offset_text(self, zone: Zone) -> String {
        let seconds = self.offset.seconds();
        if zone.z && seconds == 0 {
            return "Z".to_owned();
        }
        let sign = if seconds < 0 { '-' } else { '+' };
        let (hours, minutes) = (seconds.abs() / 3600, seconds.abs() / 60 % 60);
        let colon = if zone.colon { ":" } else { "" };
        let mut text = format!("{sign}{hours:02}");
        if !zone.short {
            text += &format!("{colon}{minutes:02}");
        }
        if zone.seconds {
            text += &format!("{colon}{:02}", seconds.abs() % 60);
        }
        text
    }

    /// `time.ParseInLocation` in UTC. `None` if the text does not have the layout's form, or if
    /// there is no such day.
    pub(crate) fn parse(layout: &str, text: &str) -> Option<Self> {
        let mut parsed = Parsed::default();
        let (mut layout, mut text) = (layout, text);
        loop {
            let (literal, chunk, tail) = next_chunk(layout);
            text = skip_literal(text, literal)?;
            layout = tail;
            let Some(chunk) = chunk else { break };
            text = parsed.read(chunk, text, layout)?;
        }
        if !text.is_empty() {
            return None;
        }
        parsed.time()
    }
}

/// As `fmt` prints a time.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.format("2006-01-02 15:04:05.999999999 -0700 MST"))
    }
}

#[derive(Clone, Copy)]
enum Chunk {
    LongMonth,
    Month,
    NumberMonth,
    ZeroMonth,
    LongWeekday,
    Weekday,
    Day,
    UnderDay,
    ZeroDay,
    UnderYearDay,
    ZeroYearDay,
    Hour,
    Hour12,
    ZeroHour12,
    Minute,
    ZeroMinute,
    Second,
    ZeroSecond,
    LongYear,
    Year,
    UpperHalf,
    LowerHalf,
    ZoneName,
    Zone(Zone),
    Fraction { separator: char, digits: usize, keep_zeros: bool },
}

/// How a zone's offset is written.
#[derive(Clone, Copy)]
struct Zone {
    colon: bool,
    seconds: bool,
    short: bool,
    /// Whether UTC is `Z`.
    z: bool,
}

const fn zone(colon: bool, seconds: bool, short: bool, z: bool) -> Chunk {
    Chunk::Zone(Zone { colon, seconds, short, z })
}

/// The parts of a layout. If two fit, the first is used.
const CHUNKS: [(&str, Chunk); 33] = [
    ("January", Chunk::LongMonth),
    ("Jan", Chunk::Month),
    ("Monday", Chunk::LongWeekday),
    ("Mon", Chunk::Weekday),
    ("MST", Chunk::ZoneName),
    ("01", Chunk::ZeroMonth),
    ("02", Chunk::ZeroDay),
    ("03", Chunk::ZeroHour12),
    ("04", Chunk::ZeroMinute),
    ("05", Chunk::ZeroSecond),
    ("06", Chunk::Year),
    ("002", Chunk::ZeroYearDay),
    ("15", Chunk::Hour),
    ("1", Chunk::NumberMonth),
    ("2006", Chunk::LongYear),
    ("2", Chunk::Day),
    ("_2", Chunk::UnderDay),
    ("__2", Chunk::UnderYearDay),
    ("3", Chunk::Hour12),
    ("4", Chunk::Minute),
    ("5", Chunk::Second),
    ("PM", Chunk::UpperHalf),
    ("pm", Chunk::LowerHalf),
    ("-070000", zone(false, true, false, false)),
    ("-07:00:00", zone(true, true, false, false)),
    ("-0700", zone(false, false, false, false)),
    ("-07:00", zone(true, false, false, false)),
    ("-07", zone(false, false, true, false)),
    ("Z070000", zone(false, true, false, true)),
    ("Z07:00:00", zone(true, true, false, true)),
    ("Z0700", zone(false, false, false, true)),
    ("Z07:00", zone(true, false, false, true)),
    ("Z07", zone(false, false, true, true)),
];

/// The text before the layout's next part, that part, and the rest.
fn next_chunk(layout: &str) -> (&str, Option<Chunk>, &str) {
    for (start, c) in layout.char_indices() {
        let here = &layout[start..];
        // The underscore belongs to the text before the year, not to a day.
        if let Some(tail) = here.strip_prefix("_2006") {
            return (&layout[..=start], Some(Chunk::LongYear), tail);
        }
        if matches!(c, '.' | ',') {
            let digit = here[1..].chars().next().unwrap_or_default();
            if matches!(digit, '0' | '9') {
                let digits = here.len() - 1 - here[1..].trim_start_matches(digit).len();
                let tail = &here[1 + digits..];
                if !tail.starts_with(|c: char| c.is_ascii_digit()) {
                    let chunk = Chunk::Fraction { separator: c, digits, keep_zeros: digit == '0' };
                    return (&layout[..start], Some(chunk), tail);
                }
            }
        }
        let found = CHUNKS.iter().find(|(example, chunk)| {
            let is_short_name = matches!(chunk, Chunk::Month | Chunk::Weekday);
            here.starts_with(example)
                && !(is_short_name && here[example.len()..].starts_with(|c: char| c.is_ascii_lowercase()))
        });
        if let Some((example, chunk)) = found {
            return (&layout[..start], Some(*chunk), &here[example.len()..]);
        }
    }
    (layout, None, "")
}

/// Goes past the layout's own text; one space there stands for any number of them.
fn skip_literal<'t>(mut text: &'t str, mut literal: &str) -> Option<&'t str> {
    while let Some(c) = literal.chars().next() {
        if c == ' ' {
            if !text.is_empty() && !text.starts_with(' ') {
                return None;
            }
            literal = literal.trim_start_matches(' ');
            text = text.trim_start_matches(' ');
            continue;
        }
        text = text.strip_prefix(c)?;
        literal = &literal[c.len_utf8()..];
    }
    Some(text)
}

/// The fields of a time that is being parsed.
struct Parsed {
    year: i16,
    month: i8,
    day: Option<i8>,
    year_day: Option<i16>,
    hour: i8,
    minute: i8,
    second: i8,
    nanosecond: i32,
    /// Whether it is after noon, if given.
    after_noon: Option<bool>,
    offset: Offset,
}

impl Default for Parsed {
    fn default() -> Self {
        Self {
            year: 0,
            month: 1,
            day: None,
            year_day: None,
            hour: 0,
            minute: 0,
            second: 0,
            nanosecond: 0,
            after_noon: None,
            offset: Offset::UTC,
        }
    }
}

impl Parsed {
    fn read<'t>(&mut self, chunk: Chunk, text: &'t str, layout: &str) -> Option<&'t str> {
        let (value, rest) = match chunk {
            Chunk::LongMonth | Chunk::Month => {
                let (index, rest) = read_name(text, (1..=12).map(month_name), matches!(chunk, Chunk::Month))?;
                self.month = i8::try_from(index).ok()? + 1;
                return Some(rest);
            }
            Chunk::LongWeekday | Chunk::Weekday => {
                let names = (0..7).map(|day| WEEKDAYS[day]);
                return Some(read_name(text, names, matches!(chunk, Chunk::Weekday))?.1);
            }
            Chunk::UpperHalf | Chunk::LowerHalf => {
                let (half, rest) = text.split_at_checked(2)?;
                let (am, pm) = if matches!(chunk, Chunk::UpperHalf) { ("AM", "PM") } else { ("am", "pm") };
                self.after_noon = Some(match half {
                    half if half == am => false,
                    half if half == pm => true,
                    _ => return None,
                });
                return Some(rest);
            }
            Chunk::ZoneName => {
                let length = text.find(|c: char| !c.is_ascii_uppercase()).unwrap_or(text.len());
                return (3..=5).contains(&length).then(|| &text[length..]);
            }
            Chunk::Zone(zone) => return self.read_offset(zone, text),
            Chunk::Fraction { digits, keep_zeros, .. } => {
                let Some(fraction) = text.strip_prefix(['.', ',']) else {
                    return (!keep_zeros).then_some(text);
                };
                let length = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
                let length = if keep_zeros { digits } else { length };
                self.nanosecond = nanoseconds(fraction.get(..length)?)?;
                return fraction.get(length..);
            }
            Chunk::LongYear => read_digits(text, 4, 4)?,
            Chunk::UnderYearDay | Chunk::ZeroYearDay => read_digits(text.trim_start_matches(' '), 3, 3)?,
            Chunk::UnderDay => read_digits(text.strip_prefix(' ').unwrap_or(text), 1, 2)?,
            Chunk::ZeroMonth
            | Chunk::ZeroDay
            | Chunk::ZeroHour12
            | Chunk::ZeroMinute
            | Chunk::ZeroSecond
            | Chunk::Year => read_digits(text, 2, 2)?,
            _ => read_digits(text, 1, 2)?,
        };
        let small = i8::try_from(value).unwrap_or(-1);
        let mut rest = rest;
        match chunk {
            Chunk::LongYear => self.year = value,
            Chunk::Year => self.year = if value >= 69 { 1900 + value } else { 2000 + value },
            Chunk::NumberMonth | Chunk::ZeroMonth => self.month = small,
            Chunk::Day | Chunk::UnderDay | Chunk::ZeroDay => self.day = Some(small),
            Chunk::UnderYearDay | Chunk::ZeroYearDay => self.year_day = Some(value),
            Chunk::Hour => self.hour = small,
            Chunk::Hour12 | Chunk::ZeroHour12 => self.hour = (value <= 12).then_some(small)?,
            Chunk::Minute | Chunk::ZeroMinute => self.minute = small,
            _ => {
                self.second = small;
                // A fraction may follow the seconds though the layout has none.
                let fraction_follows = matches!(next_chunk(layout), ("", Some(Chunk::Fraction { .. }), _));
                if let Some(fraction) = rest.strip_prefix(['.', ',']).filter(|_| !fraction_follows) {
                    let length = fraction.find(|c: char| !c.is_ascii_digit()).unwrap_or(fraction.len());
                    if length > 0 {
                        self.nanosecond = nanoseconds(&fraction[..length])?;
                        rest = &fraction[length..];
                    }
                }
            }
        }
        Some(rest)
    }

    fn read_offset<'t>(&mut self, zone: Zone, text: &'t str) -> Option<&'t str> {
        if zone.z
            && let Some(rest) = text.strip_prefix('Z')
        {
            return Some(rest);
        }
        let sign = match text.chars().next()? {
            '+' => 1,
            '-' => -1,
            _ => return None,
        };
        let (hours, mut rest) = read_digits(&text[1..], 2, 2)?;
        let mut seconds = i32::from(hours) * 3600;
        let parts: &[i32] = match (zone.short, zone.seconds) {
            (true, _) => &[],
            (false, false) => &[60],
            (false, true) => &[60, 1],
        };
        for unit in parts {
            if zone.colon {
                rest = rest.strip_prefix(':')?;
            }
            let (value, tail) = read_digits(rest, 2, 2)?;
            seconds += i32::from(value) * unit;
            rest = tail;
        }
        self.offset = Offset::from_seconds(sign * seconds).ok()?;
        Some(rest)
    }

    fn time(self) -> Option<Time> {
        let hour = match self.after_noon {
            Some(true) if self.hour < 12 => self.hour + 12,
            Some(false) if self.hour == 12 => 0,
            _ => self.hour,
        };
        let date = match self.year_day {
            Some(day) => Date::new(self.year, 1, 1).ok()?.with().day_of_year(day).build().ok()?,
            None => Date::new(self.year, self.month, self.day.unwrap_or(1)).ok()?,
        };
        let time = jiff::civil::Time::new(hour, self.minute, self.second, self.nanosecond).ok()?;
        let at = self.offset.to_timestamp(date.to_datetime(time)).ok()?;
        Some(Time { at, offset: self.offset })
    }
}

fn read_digits(text: &str, least: usize, most: usize) -> Option<(i16, &str)> {
    let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
    if length < least {
        return None;
    }
    Some((text[..length].parse().ok()?, &text[length..]))
}

fn read_name(text: &str, names: impl Iterator<Item = &'static str>, short: bool) -> Option<(usize, &str)> {
    names.enumerate().find_map(|(index, name)| {
        let name = if short { &name[..3] } else { name };
        let (head, rest) = text.split_at_checked(name.len())?;
        head.eq_ignore_ascii_case(name).then_some((index, rest))
    })
}

fn nanoseconds(digits: &str) -> Option<i32> {
    if digits.is_empty() || digits.len() > 9 || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    format!("{digits:0<9}").parse().ok()
}

pub(crate) fn month_name(month: i8) -> &'static str {
    const MONTHS: [&str; 12] = [
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
    ];
    // A calendar's month is from 1 to 12.
    usize::try_from(month)
        .ok()
        .and_then(|month| MONTHS.get(month.checked_sub(1)?))
        .copied()
        .unwrap_or(MONTHS[0])
}

const WEEKDAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

pub(crate) fn weekday_name(day: Weekday) -> &'static str {
    WEEKDAYS[day.to_sunday_zero_offset() as usize % 7]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_are_examples() {
        let time = Time::parse("2006-01-02T15:04:05.999Z07:00", "2024-03-09T07:08:09.5+02:00").unwrap();
        let cases = [
            ("2006-01-02", "2024-03-09"),
            ("20060102150405", "20240309070809"),
            ("Mon Jan _2 15:04:05 2006", "Sat Mar  9 07:08:09 2024"),
            ("Monday, 2 January 06 3:04PM", "Saturday, 9 March 24 7:08AM"),
            ("2006-01-02T15:04:05Z07:00", "2024-03-09T07:08:09+02:00"),
            ("15h04m05.000s", "07h08m09.500s"),
            ("002 -0700", "069 +0200"),
            ("Janet 2006_2006", "Janet 2024_2024"),
            ("no layout", "no layout"),
        ];
        for (layout, text) in cases {
            assert_eq!(time.format(layout), text, "{layout}");
        }
        assert_eq!(time.in_utc().to_string(), "2024-03-09 05:08:09.5 +0000 UTC");
    }

    #[test]
    fn times_are_read_by_their_layout() {
        let cases = [
            ("2006-01-02", "2017-12-31", Some(1_514_678_400)),
            ("2006-01-02", "2017-02-30", None),
            ("2006-01-02", "2017-12-31x", None),
            ("Jan 2, 2006 at 3:04pm (MST)", "Feb 3, 2013 at 7:54pm (PST)", Some(1_359_921_240)),
            ("2006-01-02T15:04:05Z07:00", "2020-01-01T00:00:00-01:00", Some(1_577_840_400)),
            ("2006-01-02 15:04:05", "2020-01-01 00:00:00.25", Some(1_577_836_800)),
        ];
        for (layout, text, seconds) in cases {
            assert_eq!(Time::parse(layout, text).map(Time::unix), seconds, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_layout_breaks_the_clock(layout in "(2006|01|_2|__2|002|Jan|15|pm|05|\\.000|,9|-07:00|Z0700|MST|é| ){0,6}", text in "[0-9A-Za-z:., é+-]{0,20}") {
            let _ = Time::parse(&layout, &text);
            let written = Time::NOW.format(&layout);
            let _ = Time::parse(&layout, &written);
        }
    }
}
