//! Commands are found by their names in any case, and by nothing that merely looks like one.

use kv_engine::{CommandTable, tables};

use crate::memory::InMemory;

#[test]
fn a_name_is_found_in_any_case_and_nothing_else_is() {
    let table: CommandTable<InMemory> = tables::v3();
    let names: Vec<&str> = table.iter().map(|command| command.spec.name).collect();
    let found = |name: &[u8]| table.find(name).map(|command| command.spec.name);
    for name in &names {
        assert_eq!(found(name.to_uppercase().as_bytes()), Some(*name));
        for place in 0..name.len() {
            let mut letters = name.as_bytes().to_vec();
            for byte in 0..=u8::MAX {
                letters[place] = byte;
                let wanted = std::str::from_utf8(&letters).ok();
                let wanted = wanted.map(str::to_ascii_lowercase);
                let wanted = wanted.and_then(|wanted| names.iter().find(|name| **name == wanted));
                assert_eq!(found(&letters), wanted.copied(), "{letters:?}");
            }
        }
        for longer in [
            format!("{name} "),
            format!(" {name}"),
            format!("{name}{name}"),
        ] {
            assert_eq!(found(longer.as_bytes()), None);
        }
        let shorter = &name[..name.len() - 1];
        assert_eq!(
            found(shorter.as_bytes()).is_some(),
            names.contains(&shorter)
        );
    }
    assert_eq!(found(b""), None);
}
