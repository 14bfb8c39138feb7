//! The octets of a field table: checking, building, walking and looking up
//! agree, and what was built is written so that it reads the same.

#![no_main]

use leveret_protocol::types::RawTable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let raw = RawTable::new(octets);
    let built = raw.parse();
    assert_eq!(raw.validate(), built.clone().map(|_| ()));
    let walked = raw.entries().count();
    let Ok(table) = built else {
        return;
    };
    assert_eq!(walked, table.len());
    let written = table.to_bytes();
    let again = RawTable::new(&written);
    assert_eq!(again.parse(), Ok(table.clone()));
    for (name, _) in table.iter() {
        assert_eq!(again.get(name).as_ref(), table.get(name));
    }
});
