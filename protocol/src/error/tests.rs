//! What a client is told. Each row was put to RabbitMQ 3.10 on a socket, and
//! code and text are its answer, but where `errata.md` says otherwise.

use crate::content::ContentHeader;
use crate::decoder::decode_frame;
use crate::error::DecodeError;
use crate::frame::FrameKind;
use crate::methods::Method;
use crate::reply_code::{ReplyCode, reply_text};

/// The error in a whole frame as the broker would meet it.
fn refused(octets: &[u8]) -> DecodeError {
    let frame = match decode_frame(octets, 131_064) {
        Ok(frame) => frame.expect("a whole frame"),
        Err(error) => return error,
    };
    match frame.kind {
        FrameKind::Method => Method::decode(frame.payload).unwrap_err(),
        FrameKind::Header => ContentHeader::decode(frame.payload).unwrap_err(),
        FrameKind::Body | FrameKind::Heartbeat => panic!("nothing wrong with it"),
    }
}

fn frame(frame_type: u8, payload: &[u8], end: u8) -> Vec<u8> {
    let size = u32::try_from(payload.len()).unwrap();
    [&[frame_type, 0, 1], size.to_be_bytes().as_slice(), payload, &[end]].concat()
}

#[track_caller]
fn assert_told(error: &DecodeError, code: ReplyCode, text: &str) {
    assert_eq!(error.reply_code(), code);
    assert_eq!(reply_text(code, &error.to_string()), text);
}

#[test]
fn frames_that_cannot_be_taken() {
    let ascending: Vec<u8> = (0..30).collect();
    let latin: Vec<u8> = (200..230).collect();
    let rows: [(Vec<u8>, &str); 14] = [
        (
            b"\x01\x00\x01\x00\x03\x0d\x40".to_vec(),
            "type 1, all octets = <<>>: {frame_too_large,200000,131064}",
        ),
        (
            frame(1, b"\x00\x14\x00\x0a\x00", 0),
            "type 1, all octets = <<0,20,0,10,0>>: {invalid_frame_end_marker,0}",
        ),
        (frame(8, b"", 0), "type 8, all octets = <<>>: {invalid_frame_end_marker,0}"),
        (frame(1, b"A", 7), "type 1, all octets = <<\"A\">>: {invalid_frame_end_marker,7}"),
        (
            frame(1, b"0123456789abcdef", 7),
            "type 1, all octets = <<\"0123456789abcdef\">>: {invalid_frame_end_marker,7}",
        ),
        (
            frame(1, b"0123456789abcdefg", 7),
            "type 1, first 16 octets = <<\"0123456789abcdef\">>: {invalid_frame_end_marker,7}",
        ),
        (
            frame(3, &ascending, 7),
            "type 3, first 16 octets = <<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15>>: \
             {invalid_frame_end_marker,\n\
             \u{20}                                                                     7}",
        ),
        (
            frame(3, &latin, 7),
            "type 3, first 16 octets = <<\"ÈÉÊËÌÍÎÏÐÑÒÓÔÕÖ×\">>: {invalid_frame_end_marker,7}",
        ),
        (frame(9, b"", 0xCE), "type 9, all octets = <<>>: unknown_frame"),
        (frame(65, b"abc", 0xCE), "type 65, all octets = <<\"abc\">>: unknown_frame"),
        (frame(1, b"abc", 0xCE), "type 1, all octets = <<\"abc\">>: unknown_frame"),
        (frame(1, b"", 0xCE), "type 1, all octets = <<>>: unknown_frame"),
        (frame(2, b"abcdefghijk", 0xCE), "type 2, all octets = <<\"abcdefghijk\">>: unknown_frame"),
        (frame(8, b"a", 0xCE), "type 8, all octets = <<\"a\">>: unknown_frame"),
    ];
    for (octets, text) in rows {
        let error = refused(&octets);
        assert_told(&error, ReplyCode::FRAME_ERROR, &format!("FRAME_ERROR - {text}"));
        assert_eq!(error.method(), None);
    }
}

#[test]
fn arguments_that_do_not_fit() {
    let rows: [(&[u8], &str, (u16, u16)); 6] = [
        (b"\x00\x32\x00\x0a\x00\x00", "<<0,0>>", (50, 10)),
        (b"\x00\x32\x00\x0a\x00\x00\x09abc", "<<0,0,9,97,98,99>>", (50, 10)),
        (
            b"\x00\x32\x00\x0a\x00\x00\x01q\x00\x00\x00\x00\x09abc",
            "<<0,0,1,113,0,0,0,0,9,97,98,99>>",
            (50, 10),
        ),
        (b"\x00\x3c\x00\x0a\x00\x00\x00\x00\x00\x01\x00zz", "<<0,0,0,0,0,1,0,122,122>>", (60, 10)),
        (b"\x00\x5a\x00\x0azz", "<<122,122>>", (90, 10)),
        (
            b"\x00\x5a\x00\x0a\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\
              \x10\x11\x12\x13\x14\x15\x16\x17\x18\x19",
            "<<0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25>>",
            (90, 10),
        ),
    ];
    for (payload, printed, method) in rows {
        let error = refused(&frame(1, payload, 0xCE));
        let text = format!("FRAME_ERROR - cannot decode {printed}");
        assert_told(&error, ReplyCode::FRAME_ERROR, &text);
        assert_eq!(error.method(), Some(method));
    }
}

#[test]
fn long_arguments_are_cut_where_rabbitmq_cuts_them() {
    let payload: Vec<u8> = [0, 90, 0, 10].into_iter().chain(0..250).collect();
    let error = refused(&frame(1, &payload, 0xCE));
    let text = reply_text(error.reply_code(), &error.to_string());
    assert_eq!(text.len(), 255);
    assert!(text.starts_with("FRAME_ERROR - cannot decode <<0,1,2,3,"));
    assert!(text.ends_with(",75,76,7..."));
}

/// Printed by Erlang itself, `io_lib:format("~tp", ...)`.
#[test]
fn payloads_print_as_in_erlang() {
    let rows: [(&[u8], &str); 9] = [
        (b"", "<<>>"),
        (b"abc\n\t\"\\'~\x1b\x0b\x08\x0c\r", r#"<<"abc\n\t\"\\'~\e\v\b\f\r">>"#),
        (b"abc\x7f", "<<97,98,99,127>>"),
        ("äöü".as_bytes(), "<<\"äöü\"/utf8>>"),
        ("äöü€".as_bytes(), "<<195,164,195,182,195,188,226,130,172>>"),
        ("ġ".as_bytes(), "<<196,161>>"),
        (b"\xc4\xa1 \xff", "<<\"Ä¡ ÿ\">>"),
        (b"\xc3", "<<\"Ã\">>"),
        (
            b"\x82\x83\x84\x85\x86\x87\x88\x89\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91",
            "<<130,131,132,133,134,135,136,137,138,139,140,141,142,143,\n                       \
             144,145>>",
        ),
    ];
    for (octets, printed) in rows {
        let error = refused(&frame(4, octets, 0xCE));
        assert_eq!(error.to_string(), format!("type 4, all octets = {printed}: unknown_frame"));
    }
}

#[test]
fn short_strings_that_are_not_utf8() {
    for name in [b"\x02\xff\xfe".as_slice(), b"\x03ab\xc3", b"\x03\xed\xa0\x80"] {
        let payload =
            [b"\x00\x32\x00\x0a\x00\x00".as_slice(), name, b"\x00\x00\x00\x00\x00"].concat();
        let error = refused(&frame(1, &payload, 0xCE));
        let text = "FRAME_ERROR - Malformed UTF-8 in shortstr";
        assert_told(&error, ReplyCode::FRAME_ERROR, text);
        assert_eq!(error.method(), None);
    }
}

#[test]
fn what_crashes_rabbitmq_is_an_internal_error() {
    let declare = |table: &[u8]| {
        let size = u32::try_from(table.len()).unwrap().to_be_bytes();
        let payload = [b"\x00\x32\x00\x0a\x00\x00\x01q\x00".as_slice(), &size, table].concat();
        refused(&frame(1, &payload, 0xCE))
    };
    let rows = [
        (refused(&frame(1, b"\x00\x63\x00\x0a", 0xCE)), "unknown method {99,10}"),
        (refused(&frame(1, b"\x00\x32\x00\x63", 0xCE)), "unknown method {50,99}"),
        (declare(b"\x01kZabc"), "malformed field table"),
        (declare(&b"\x01aF\x00\x00\x00\x00"[..5]), "malformed field table"),
        (DecodeError::TableTooDeep, "field table nested too deeply"),
        (DecodeError::MalformedProperties, "malformed content properties"),
    ];
    for (error, text) in rows {
        assert_told(&error, ReplyCode::INTERNAL_ERROR, &format!("INTERNAL_ERROR - {text}"));
    }
}

#[test]
fn texts_are_cut_between_characters() {
    assert_eq!(reply_text(ReplyCode::NOT_FOUND, "no queue 'q'"), "NOT_FOUND - no queue 'q'");
    assert_eq!(reply_text(ReplyCode::INTERNAL_ERROR, ""), "INTERNAL_ERROR");

    let whole = "x".repeat(243);
    assert_eq!(reply_text(ReplyCode::NOT_FOUND, &whole), format!("NOT_FOUND - {whole}"));
    let cut = reply_text(ReplyCode::NOT_FOUND, &"x".repeat(244));
    assert_eq!(cut, format!("NOT_FOUND - {}...", "x".repeat(240)));

    for shift in 0..4 {
        let text = reply_text(ReplyCode::NOT_FOUND, &("x".repeat(shift) + &"€".repeat(200)));
        assert!((253..=255).contains(&text.len()));
        assert!(text.ends_with("€..."));
    }
}

#[test]
fn codes_have_rabbitmqs_names_and_scope() {
    let soft: Vec<_> =
        (0..1000).map(ReplyCode::new).filter(|code| !code.closes_connection()).collect();
    let expected = [200, 311, 312, 313, 403, 404, 405, 406].map(ReplyCode::new);
    assert_eq!(soft, expected);
    assert_eq!(ReplyCode::PRECONDITION_FAILED.name(), "PRECONDITION_FAILED");
    assert_eq!(ReplyCode::PRECONDITION_FAILED.get(), 406);
    assert_eq!(ReplyCode::new(404), ReplyCode::NOT_FOUND);
    assert_eq!(ReplyCode::FRAME_ERROR.to_string(), "501 FRAME_ERROR");
    assert_eq!(ReplyCode::new(999).name(), "UNKNOWN");
}
