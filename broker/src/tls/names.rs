//! Names in certificates as RabbitMQ writes them: the distinguished name (RFC 4514), and the user
//! that a client is by its certificate.
//!
//! Pure.

use std::fmt::Write;

use super::certificate::{AlternativeName, Certificate};
use super::der::{Element, Elements, SEQUENCE, SET};
use crate::config::{CertificateLogin, LoginFrom, SanType};

/// Attribute types that have a name of their own, by their encoded object identifiers.
const ATTRIBUTES: &[(&[u8], &str)] = &[
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 4], "SN"),
    (&[0x55, 4, 5], "SERIALNUMBER"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x55, 4, 12], "TITLE"),
    (&[0x55, 4, 42], "GIVENNAME"),
    (&[0x55, 4, 43], "INITIALS"),
    (&[0x55, 4, 44], "GENERATIONQUALIFIER"),
    (&[0x55, 4, 65], "PSEUDONYM"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "EMAILADDRESS"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// The user that a certificate names, if it does.
pub(super) fn login(certificate: &Certificate<'_>, login: CertificateLogin) -> Option<String> {
    match login.from {
        LoginFrom::DistinguishedName => Some(distinguished_name(certificate.subject)),
        LoginFrom::CommonName => {
            let names: Vec<String> = attributes(certificate.subject)
                .flatten()
                .filter(|attribute| attribute.kind == COMMON_NAME)
                .map(|attribute| String::from_utf8_lossy(&attribute.value).into_owned())
                .collect();
            // RabbitMQ: several are joined.
            (!names.is_empty()).then(|| names.join(","))
        }
        LoginFrom::SubjectAlternativeName => {
            let names = certificate.alternative_names.iter();
            names.filter_map(|name| of_kind(*name, login.san_type)).nth(login.san_index)
        }
    }
}

/// An alternative name as text, if it is of that kind.
fn of_kind(name: AlternativeName<'_>, kind: SanType) -> Option<String> {
    match (name, kind) {
        (AlternativeName::Ip(address), SanType::Ip) => Some(address.to_string()),
        (AlternativeName::Dns(text), SanType::Dns)
        | (AlternativeName::Email(text), SanType::Email)
        | (AlternativeName::Uri(text), SanType::Uri)
        | (AlternativeName::Other(text), SanType::Other) => Some(text.to_owned()),
        _ => None,
    }
}

/// A Name as text: the most specific part first.
pub(super) fn distinguished_name(name: &[u8]) -> String {
    let mut parts: Vec<String> = attributes(name)
        .map(|part| part.iter().map(Attribute::text).collect::<Vec<_>>().join("+"))
        .collect();
    parts.reverse();
    parts.join(",")
}

struct Attribute<'a> {
    kind: &'a [u8],
    /// In UTF-8, as far as the certificate keeps to its word.
    value: Vec<u8>,
}

/// The relative names of a Name, each with its attributes.
fn attributes(name: &[u8]) -> impl Iterator<Item = Vec<Attribute<'_>>> {
    let name = Elements::new(name).expect(SEQUENCE);
    let parts = name.into_iter().flat_map(|name| name.elements());
    parts.filter(|part| part.tag == SET).map(|part| part.elements().filter_map(attribute).collect())
}

fn attribute(pair: Element<'_>) -> Option<Attribute<'_>> {
    let mut pair = pair.elements();
    let kind = pair.expect(0x06)?.content;
    let value = pair.next()?;
    let wide = |width: usize| -> Vec<u8> {
        let characters = value.content.chunks(width).map(|bytes| {
            let number = bytes.iter().fold(0_u32, |number, byte| number << 8 | u32::from(*byte));
            char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)
        });
        characters.collect::<String>().into_bytes()
    };
    let value = match value.tag {
        // TeletexString, taken for ISO 8859-1; UniversalString; BMPString.
        0x14 => wide(1),
        0x1c => wide(4),
        0x1e => wide(2),
        _ => value.content.to_vec(),
    };
    Some(Attribute { kind, value })
}

impl Attribute<'_> {
    fn text(&self) -> String {
        let known = ATTRIBUTES.iter().find(|(kind, _)| *kind == self.kind);
        let kind = known.map_or_else(|| dotted(self.kind), |(_, name)| (*name).to_owned());
        format!("{kind}={}", escaped(&self.value))
    }
}

/// An object identifier in numbers.
fn dotted(encoded: &[u8]) -> String {
    let mut numbers: Vec<u64> = Vec::new();
    let mut number = 0_u64;
    for byte in encoded {
        number = number.wrapping_shl(7) | u64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            match numbers.is_empty() {
                true => numbers.extend([number.min(80) / 40, number - number.min(80) / 40 * 40]),
                false => numbers.push(number),
            }
            number = 0;
        }
    }
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(".")
}

/// RFC 4514, 2.4; RabbitMQ writes everything beyond printable ASCII in hexadecimal digits.
fn escaped(value: &[u8]) -> String {
    let mut text = String::new();
    for (at, byte) in value.iter().enumerate() {
        let is_last = at + 1 == value.len();
        match byte {
            b'#' if at == 0 => text.push_str("\\#"),
            b' ' if at == 0 || is_last => text.push_str("\\ "),
            b'"' | b'+' | b',' | b';' | b'<' | b'>' | b'\\' => {
                text.push('\\');
                text.push(char::from(*byte));
            }
            32..=125 => text.push(char::from(*byte)),
            // Writing to a string does not fail.
            _ => drop(write!(text, "\\{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, DnValue, KeyPair, SanType as San};

    use super::*;

    fn certificate(parts: &[(DnType, DnValue)], names: Vec<San>) -> Vec<u8> {
        let mut params = CertificateParams::default();
        params.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in parts {
            params.distinguished_name.push(kind.clone(), value.clone());
        }
        params.subject_alt_names = names;
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    fn name_of(der: &[u8], from: LoginFrom, san_type: SanType, san_index: usize) -> Option<String> {
        let login_by = CertificateLogin { from, san_type, san_index };
        login(&Certificate::parse(der).unwrap(), login_by)
    }

    #[test]
    fn a_distinguished_name_begins_with_what_is_most_specific() {
        let der = certificate(
            &[
                (DnType::CountryName, "DE".into()),
                (DnType::OrganizationName, "Leveret, Ltd+Co".into()),
                (DnType::CustomDnType(vec![2, 5, 4, 5]), "7".into()),
                (DnType::CustomDnType(vec![1, 3, 6, 1, 4, 1, 99_999, 1]), "own".into()),
                (DnType::CommonName, " clïent#1 ".into()),
            ],
            Vec::new(),
        );
        let name = name_of(&der, LoginFrom::DistinguishedName, SanType::Dns, 0).unwrap();
        assert_eq!(
            name,
            r"CN=\ cl\C3\AFent#1\ ,1.3.6.1.4.1.99999.1=own,SERIALNUMBER=7,O=Leveret\, Ltd\+Co,C=DE"
        );
        assert_eq!(
            name_of(&der, LoginFrom::CommonName, SanType::Dns, 0).as_deref(),
            Some(" clïent#1 ")
        );
    }

    #[test]
    fn strings_of_other_kinds_become_utf_8() {
        let der = certificate(
            &[
                (DnType::OrganizationName, DnValue::BmpString("Hüt".try_into().unwrap())),
                (DnType::CommonName, DnValue::TeletexString("plain".try_into().unwrap())),
            ],
            Vec::new(),
        );
        let name = name_of(&der, LoginFrom::DistinguishedName, SanType::Dns, 0).unwrap();
        assert_eq!(name, r"CN=plain,O=H\C3\BCt");
    }

    #[test]
    fn an_alternative_name_is_found_by_kind_and_place() {
        let der = certificate(
            &[],
            vec![
                San::DnsName("a.example".try_into().unwrap()),
                San::Rfc822Name("a@example".try_into().unwrap()),
                San::DnsName("b.example".try_into().unwrap()),
                San::URI("urn:a".try_into().unwrap()),
                San::IpAddress([10, 0, 0, 1].into()),
            ],
        );
        for (kind, index, expected) in [
            (SanType::Dns, 0, Some("a.example")),
            (SanType::Dns, 1, Some("b.example")),
            (SanType::Dns, 2, None),
            (SanType::Email, 0, Some("a@example")),
            (SanType::Uri, 0, Some("urn:a")),
            (SanType::Ip, 0, Some("10.0.0.1")),
            (SanType::Other, 0, None),
        ] {
            let name = name_of(&der, LoginFrom::SubjectAlternativeName, kind, index);
            assert_eq!(name.as_deref(), expected, "{kind:?} {index}");
        }
        assert_eq!(name_of(&der, LoginFrom::CommonName, SanType::Dns, 0), None);
    }
}
