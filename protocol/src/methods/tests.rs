//! Every method, both ways: arguments made from its entry in the table are
//! read, written again and compared octet by octet.

mod specification;

use crate::decoder::decode_frame;
use crate::error::DecodeError;
use crate::frame::FrameKind;
use crate::methods::{Method, MethodSpec, TABLE};
use crate::reply_code::ReplyCode;
use proptest::prelude::*;

/// Fields that are read and skipped, and written as zero.
fn is_reserved(spec: &MethodSpec, field: &str) -> bool {
    match (spec.class_name, spec.method_name) {
        ("access", "request-ok") => false,
        ("connection", "open") => matches!(field, "capabilities" | "insist"),
        ("connection", "open-ok") => field == "known_hosts",
        ("channel", "open") => field == "out_of_band",
        ("channel", "open-ok") => field == "channel_id",
        ("basic", "get-empty") => field == "cluster_id",
        _ => field == "ticket",
    }
}

/// Values for the fields of any method; each field takes what it needs.
#[derive(Clone, Debug)]
struct Values {
    number: u64,
    text: String,
    octets: Vec<u8>,
}

fn values() -> impl Strategy<Value = Vec<Values>> {
    let one = (any::<u64>(), "\\PC{0,60}", prop::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(number, text, octets)| Values { number, text, octets });
    prop::collection::vec(one, 9)
}

/// The payload of a method frame, written without the crate's own writer.
/// `reserved` says whether reserved fields get values or zero.
fn payload(spec: &MethodSpec, values: &[Values], reserved: bool) -> Vec<u8> {
    let mut out = [spec.class_id.to_be_bytes(), spec.method_id.to_be_bytes()].concat();
    let mut bit = 0;
    for ((name, domain), value) in spec.fields.iter().zip(values.iter().cycle()) {
        let none = Values { number: 0, text: String::new(), octets: Vec::new() };
        let value = if is_reserved(spec, name) && !reserved { &none } else { value };
        let number = value.number.to_be_bytes();
        if *domain != "bit" {
            bit = 0;
        }
        match *domain {
            "bit" => {
                if bit == 0 {
                    out.push(0);
                }
                *out.last_mut().unwrap() |= (number[7] & 1) << bit;
                bit += 1;
            }
            "octet" => out.extend(&number[7..]),
            "short" => out.extend(&number[6..]),
            "long" => out.extend(&number[4..]),
            "longlong" => out.extend(number),
            "shortstr" => {
                out.push(u8::try_from(value.text.len()).unwrap());
                out.extend(value.text.as_bytes());
            }
            "longstr" => {
                out.extend(u32::try_from(value.octets.len()).unwrap().to_be_bytes());
                out.extend(&value.octets);
            }
            "table" => {
                let entry = [b"\x03key".as_slice(), b"l", &number].concat();
                let entry = if value.octets.is_empty() { &[] } else { entry.as_slice() };
                out.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
                out.extend(entry);
            }
            other => panic!("no such domain: {other}"),
        }
    }
    out
}

proptest! {
    #[test]
    fn every_method_is_written_as_it_was_read(values in values(), channel: u16) {
        for spec in TABLE {
            let received = payload(spec, &values, true);
            let method = Method::decode(&received).unwrap();
            prop_assert_eq!(method.spec(), spec);
            prop_assert_eq!((method.class_id(), method.method_id()), (spec.class_id, spec.method_id));
            prop_assert_eq!(method.name(), format!("{}.{}", spec.class_name, spec.method_name));
            prop_assert_eq!(method.carries_content(), spec.content);

            let mut written = Vec::new();
            method.encode_frame(&mut written, channel);
            let frame = decode_frame(&written, 0).unwrap().unwrap();
            prop_assert_eq!((frame.kind, frame.channel), (FrameKind::Method, channel));
            prop_assert_eq!(frame.encoded_len(), written.len());
            prop_assert_eq!(frame.payload, payload(spec, &values, false));
            prop_assert_eq!(Method::decode(frame.payload).unwrap(), method);
        }
    }

    #[test]
    fn no_method_survives_being_cut_or_extended(values in values(), at: prop::sample::Index) {
        for spec in TABLE {
            let mut received = payload(spec, &values, true);
            let cut = &received[..4 + at.index(received.len() - 3)];
            if cut.len() < received.len() {
                let error = Method::decode(cut).unwrap_err();
                prop_assert_eq!(error.method(), Some((spec.class_id, spec.method_id)));
            }
            received.push(0);
            let arguments = received[4..].into();
            let (class_id, method_id) = (spec.class_id, spec.method_id);
            prop_assert_eq!(
                Method::decode(&received),
                Err(DecodeError::MalformedArguments { class_id, method_id, arguments })
            );
        }
    }

    #[test]
    fn any_arguments_are_read_or_refused(octets in prop::collection::vec(any::<u8>(), 0..80)) {
        for spec in TABLE {
            let mut received = [spec.class_id.to_be_bytes(), spec.method_id.to_be_bytes()].concat();
            received.extend(&octets);
            if let Err(error) = Method::decode(&received) {
                prop_assert!(error.reply_code().closes_connection());
                prop_assert!(!error.to_string().is_empty());
            }
        }
        let _ = Method::decode(&octets);
    }
}

#[test]
fn reads_a_publish_as_a_client_sends_it() {
    let payload = b"\x00\x3c\x00\x28\x00\x00\x06events\x0auser.login\x01";
    let Method::BasicPublish(publish) = Method::decode(payload).unwrap() else {
        panic!("not a publish");
    };
    assert_eq!(publish.exchange, "events");
    assert_eq!(publish.routing_key, "user.login");
    assert!(publish.mandatory);
    assert!(!publish.immediate);
}

#[test]
fn reads_bits_lowest_first() {
    let payload = b"\x00\x32\x00\x0a\x00\x00\x01q\x16\x00\x00\x00\x00";
    let Method::QueueDeclare(declare) = Method::decode(payload).unwrap() else {
        panic!("not a declare");
    };
    assert_eq!(declare.queue, "q");
    let bits = (declare.passive, declare.durable, declare.exclusive, declare.auto_delete);
    assert_eq!(bits, (false, true, true, false));
    assert!(declare.no_wait);
    assert!(declare.arguments.is_empty());
}

#[test]
fn exchange_unbind_ok_is_51() {
    let method = Method::decode(b"\x00\x28\x00\x33").unwrap();
    assert_eq!(method.name(), "exchange.unbind-ok");
}

#[test]
fn unknown_class_and_method_are_refused() {
    for (class, method) in [(99, 10), (50, 99), (0, 0), (u16::MAX, u16::MAX)] {
        let payload = [class.to_be_bytes(), method.to_be_bytes()].concat();
        let error = Method::decode(&payload).unwrap_err();
        assert_eq!(error, DecodeError::UnknownMethod { class, method });
        assert_eq!(error.reply_code(), ReplyCode::INTERNAL_ERROR);
    }
}
