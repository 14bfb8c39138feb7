//! The declared methods against the specification: `spec/methods.txt` always,
//! the XML of Debian's `amqp-specs` where it is installed.

use std::collections::BTreeMap;
use std::path::Path;

use crate::methods::{MethodSpec, TABLE};

const LIST: &str = include_str!("../../../spec/methods.txt");
const XML: &str = "/usr/share/amqp/specs/0-9-1-rabbit/amqp0-9-1.stripped.extended.xml";

/// What the XML, of 2013, does not have.
const NOT_IN_XML: [&str; 6] = [
    "access.request",
    "access.request-ok",
    "connection.blocked",
    "connection.unblocked",
    "connection.update-secret",
    "connection.update-secret-ok",
];

/// One method, from any of the three sources.
#[derive(Clone, Debug, PartialEq)]
struct Row {
    name: String,
    synchronous: bool,
    content: bool,
    fields: Vec<(String, String)>,
}

type Rows = BTreeMap<(u16, u16), Row>;

fn listed() -> Rows {
    let lines = LIST.lines().filter(|line| !line.starts_with('#'));
    let rows = lines.map(|line| {
        let mut words = line.split(' ');
        let mut next = || words.next().unwrap();
        let id = (next().parse().unwrap(), next().parse().unwrap());
        let (name, character) = (next().to_owned(), next());
        let (synchronous, content) = (character == "synchronous", character == "content");
        let fields = words
            .map(|word| word.split_once(':').unwrap())
            .map(|(name, domain)| (name.to_owned(), domain.to_owned()))
            .collect();
        (id, Row { name, synchronous, content, fields })
    });
    rows.collect()
}

fn declared(spec: &MethodSpec) -> Row {
    let fields =
        spec.fields.iter().map(|(name, domain)| (name.replace('_', "-"), (*domain).into()));
    Row {
        name: format!("{}.{}", spec.class_name, spec.method_name),
        synchronous: spec.synchronous,
        content: spec.content,
        fields: fields.collect(),
    }
}

/// The value of `attribute` in a line of the XML, which has one tag a line.
fn attribute<'a>(line: &'a str, attribute: &str) -> Option<&'a str> {
    let (_, after) = line.split_once(&format!(" {attribute}=\""))?;
    after.split_once('"').map(|(value, _)| value)
}

fn in_xml(xml: &str) -> Rows {
    let mut domains = BTreeMap::new();
    let mut rows = Rows::new();
    let (mut class, mut id) = ((0, ""), (0, 0));
    for line in xml.lines().map(str::trim_start) {
        let named = || attribute(line, "name").unwrap();
        let index = || attribute(line, "index").unwrap().parse::<u16>().unwrap();
        if line.starts_with("<domain ") {
            domains.insert(named(), attribute(line, "type").unwrap());
        } else if line.starts_with("<class ") {
            class = (index(), named());
        } else if line.starts_with("<method ") {
            id = (class.0, index());
            let flag = |name| attribute(line, name) == Some("1");
            let (synchronous, content) = (flag("synchronous"), flag("content"));
            let name = format!("{}.{}", class.1, named());
            rows.insert(id, Row { name, synchronous, content, fields: Vec::new() });
        } else if line.starts_with("<field ") && id.0 == class.0 {
            let domain = attribute(line, "domain")
                .map_or_else(|| attribute(line, "type").unwrap(), |domain| domains[domain]);
            rows.get_mut(&id).unwrap().fields.push((named().to_owned(), domain.to_owned()));
        }
    }
    rows
}

#[test]
fn declares_every_method_of_the_list_and_no_other() {
    let listed = listed();
    assert_eq!(listed.len(), 66);
    assert_eq!(TABLE.len(), 66);
    for spec in TABLE {
        let row = &listed[&(spec.class_id, spec.method_id)];
        assert_eq!(declared(spec), *row);
    }
}

#[test]
fn the_list_agrees_with_the_xml() {
    if !Path::new(XML).exists() {
        return;
    }
    let xml = in_xml(&std::fs::read_to_string(XML).unwrap());
    let listed = listed();
    for (id, in_xml) in &xml {
        let row = &listed[id];
        assert_eq!(row.name, in_xml.name);
        assert_eq!(row.content, in_xml.content, "{}", row.name);
        assert_eq!(row.fields.len(), in_xml.fields.len(), "{}", row.name);
        for ((name, domain), (xml_name, xml_domain)) in row.fields.iter().zip(&in_xml.fields) {
            assert_eq!(domain, xml_domain, "{}", row.name);
            let same = name == xml_name
                || xml_name.starts_with("reserved-")
                || (name == "no-wait" && xml_name == "nowait");
            assert!(same, "{}: {name}, {xml_name}", row.name);
        }
        // The XML counts most replies as synchronous too, and misses recover.
        let reply = row.name.ends_with("-ok") || row.name == "basic.get-empty";
        if !reply && row.name != "basic.recover" {
            assert_eq!(row.synchronous, in_xml.synchronous, "{}", row.name);
        }
    }
    let newer: Vec<_> =
        listed.iter().filter(|(id, _)| !xml.contains_key(*id)).map(|(_, row)| &row.name).collect();
    let mut newer: Vec<_> = newer.into_iter().map(String::as_str).collect();
    newer.sort_unstable();
    assert_eq!(newer, NOT_IN_XML);
}
