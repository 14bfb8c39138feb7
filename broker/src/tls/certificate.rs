//! What a certificate says (RFC 5280): whose it is, from whom, until when.
//!
//! Pure. Nothing is verified here: `rustls` has done so before anything of it counts.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::der::{Element, Elements, SEQUENCE};

/// Validity of a certificate: seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Validity {
    pub(super) not_before: u64,
    pub(super) not_after: u64,
}

/// The parts of a certificate that are asked for.
#[derive(Debug)]
pub(super) struct Certificate<'a> {
    pub(super) serial: &'a [u8],
    /// A Name as it is encoded.
    pub(super) issuer: &'a [u8],
    /// A Name as it is encoded.
    pub(super) subject: &'a [u8],
    pub(super) validity: Validity,
    pub(super) alternative_names: Vec<AlternativeName<'a>>,
}

/// A GeneralName (RFC 5280, 4.2.1.6), if it is of a kind that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AlternativeName<'a> {
    Dns(&'a str),
    Ip(IpAddr),
    Email(&'a str),
    Uri(&'a str),
    /// The text of it.
    Other(&'a str),
}

/// 2.5.29.17.
const SUBJECT_ALTERNATIVE_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const INTEGER: u8 = 0x02;
const OCTET_STRING: u8 = 0x04;
const OBJECT_IDENTIFIER: u8 = 0x06;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;

impl<'a> Certificate<'a> {
    /// Reads DER; `None` if it is no certificate.
    pub(super) fn parse(der: &'a [u8]) -> Option<Self> {
        let certificate = Elements::new(der).expect(SEQUENCE)?;
        let mut fields = certificate.elements().expect(SEQUENCE)?.elements();
        // The version, which version 1 does not say.
        fields.optional(0xa0);
        let serial = fields.expect(INTEGER)?.content;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?.whole;
        let mut times = fields.expect(SEQUENCE)?.elements();
        let validity =
            Validity { not_before: time(times.next()?)?, not_after: time(times.next()?)? };
        let subject = fields.expect(SEQUENCE)?.whole;
        let extensions = fields.find(|field| field.tag == 0xa3);
        let alternative_names = extensions.and_then(alternative_names).unwrap_or_default();
        Some(Self { serial, issuer, subject, validity, alternative_names })
    }

    /// The serial number in hexadecimal digits.
    pub(super) fn serial_number(&self) -> String {
        self.serial.iter().map(|byte| format!("{byte:02X}")).collect()
    }
}

impl Validity {
    /// Both ends as RabbitMQ writes them.
    pub(super) fn text(self) -> String {
        format!("{} - {}", date(self.not_before), date(self.not_after))
    }
}

/// A moment in UTC, as RFC 3339 has it.
pub(super) fn date(seconds: u64) -> String {
    // The last moment of the year 9999 is the last that can be written.
    let moment: SystemTime = UNIX_EPOCH + Duration::from_secs(seconds.min(253_402_300_799));
    humantime::format_rfc3339_seconds(moment).to_string()
}

fn alternative_names(extensions: Element<'_>) -> Option<Vec<AlternativeName<'_>>> {
    let extensions = extensions.elements().expect(SEQUENCE)?;
    let value = extensions.elements().find_map(|extension| {
        let mut parts = extension.elements();
        let is_it = parts.expect(OBJECT_IDENTIFIER)?.content == SUBJECT_ALTERNATIVE_NAME;
        // Whether it is critical stands between, or nothing does.
        is_it.then(|| parts.find(|part| part.tag == OCTET_STRING))?
    })?;
    let names = value.elements().expect(SEQUENCE)?;
    Some(names.elements().filter_map(alternative_name).collect())
}

fn alternative_name(name: Element<'_>) -> Option<AlternativeName<'_>> {
    let text = || std::str::from_utf8(name.content).ok();
    match name.tag {
        0xa0 => {
            let mut parts = name.elements();
            parts.expect(OBJECT_IDENTIFIER)?;
            let value = parts.next()?.elements().next()?;
            std::str::from_utf8(value.content).ok().map(AlternativeName::Other)
        }
        0x81 => text().map(AlternativeName::Email),
        0x82 => text().map(AlternativeName::Dns),
        0x86 => text().map(AlternativeName::Uri),
        0x87 => address(name.content).map(AlternativeName::Ip),
        _ => None,
    }
}

fn address(octets: &[u8]) -> Option<IpAddr> {
    match octets.len() {
        4 => <[u8; 4]>::try_from(octets).ok().map(IpAddr::from),
        _ => <[u8; 16]>::try_from(octets).ok().map(IpAddr::from),
    }
}

/// UTCTime `YYMMDDHHMMSSZ` or GeneralizedTime `YYYYMMDDHHMMSSZ`, in seconds since 1970; what is
/// before counts as 1970.
fn time(element: Element<'_>) -> Option<u64> {
    let text = std::str::from_utf8(element.content).ok()?.strip_suffix('Z')?;
    let (year, rest) = match element.tag {
        UTC_TIME => {
            let (year, rest) = text.split_at_checked(2)?;
            let year: i64 = year.parse().ok()?;
            // RFC 5280, 4.1.2.5.1.
            (if year < 50 { 2000 + year } else { 1900 + year }, rest)
        }
        GENERALIZED_TIME => {
            let (year, rest) = text.split_at_checked(4)?;
            (year.parse().ok()?, rest)
        }
        _ => return None,
    };
    let part = |at: usize| rest.get(at..at + 2)?.parse::<i64>().ok();
    let days = days(year, part(0)?, part(2)?);
    let seconds = days * 86_400 + part(4)? * 3600 + part(6)? * 60 + part(8)?;
    Some(u64::try_from(seconds).unwrap_or(0))
}

/// Days from 1970-01-01 to a date of the Gregorian calendar: years begin in March here, so that the
/// day of a leap year is the last.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year * 365 + year / 4 - year / 100 + year / 400 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use proptest::prelude::*;
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn a_certificate_is_taken_apart() {
        let mut params = CertificateParams::new(["broker.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "broker");
        params.subject_alt_names.push(SanType::IpAddress(Ipv4Addr::LOCALHOST.into()));
        params.not_before = rcgen::date_time_ymd(2024, 2, 29);
        params.not_after = rcgen::date_time_ymd(2051, 1, 1);
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        let parsed = Certificate::parse(certificate.der()).unwrap();
        assert_eq!(parsed.issuer, parsed.subject);
        assert_eq!(parsed.validity.text(), "2024-02-29T00:00:00Z - 2051-01-01T00:00:00Z");
        let names = [
            AlternativeName::Dns("broker.example"),
            AlternativeName::Ip(Ipv4Addr::LOCALHOST.into()),
        ];
        assert_eq!(parsed.alternative_names, names);
    }

    #[test]
    fn times_are_seconds_since_1970() {
        for (tag, text, expected) in [
            (UTC_TIME, "700101000000Z", Some(0)),
            (UTC_TIME, "000229120000Z", Some(951_825_600)),
            (UTC_TIME, "491231235959Z", Some(2_524_607_999)),
            (UTC_TIME, "500101000000Z", Some(0)),
            (GENERALIZED_TIME, "20500101000000Z", Some(2_524_608_000)),
            (GENERALIZED_TIME, "99991231235959Z", Some(253_402_300_799)),
            (UTC_TIME, "70010100000", None),
            (UTC_TIME, "", None),
            (0x13, "700101000000Z", None),
        ] {
            let element = Element { tag, content: text.as_bytes(), whole: &[] };
            assert_eq!(time(element), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn damage_is_no_certificate_or_another_and_no_panic(at in 0_usize..400, byte in any::<u8>()) {
            let params = CertificateParams::new(["broker.example".to_owned()]).unwrap();
            let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
            let mut der = certificate.der().to_vec();
            let at = at % der.len();
            der[at] = byte;
            let _ = Certificate::parse(&der).map(|parsed| parsed.validity.text());
            prop_assert!(Certificate::parse(&der[..at]).is_none());
        }
    }
}
